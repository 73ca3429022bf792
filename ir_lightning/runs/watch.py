"""What a person sees of a training in another process: how far it is, on one line."""

import time
from pathlib import Path

from rich.console import Console
from rich.status import Status

from ir_lightning.runs.state import iteration_of


class Watch:
    """A line that says how far a run is, where somebody looks at a terminal; else nothing.

    Args:
        console: where.
        run_dir: the run.
        iterations: its budget.
    """

    def __init__(self, console: Console, run_dir: Path, iterations: int) -> None:
        self.run_dir = run_dir
        self.iterations = iterations
        self.began = time.monotonic()
        self.status = Status("starting", console=console) if console.is_terminal else None

    def __enter__(self) -> "Watch":
        if self.status:
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status:
            self.status.stop()

    def __call__(self) -> None:
        """Bring the line up to date."""
        if self.status:
            seconds = time.monotonic() - self.began
            done = f"{iteration_of(self.run_dir)}/{self.iterations} iterations"
            self.status.update(f"{done}, {seconds:.0f} s")
