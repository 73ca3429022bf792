"""A training in a child process: whatever becomes of it, the sweep goes on."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from ir_lightning import errors
from ir_lightning.errors import RunError, Stopped, UsageError
from ir_lightning.launch.signals import Signals
from ir_lightning.runs.claim import still_ours
from ir_lightning.runs.record import LOG
from ir_lightning.runs.state import iteration_of

Guard = Callable[[], None]
"""Raises when a run must not be written to any more."""
Work = Callable[[Guard, Signals], dict[str, Any]]
"""What needs torch; returns the measured part of the result record."""
POLL = 1.0  # seconds between two looks at a running training

# One process imports torch once, and every training is a fork of it: seconds saved for each run.
_methods = multiprocessing.get_all_start_methods()
CONTEXT: Any = multiprocessing.get_context("forkserver" if "forkserver" in _methods else "spawn")
if "forkserver" in _methods:
    CONTEXT.set_forkserver_preload(["ir_lightning.training.fork_point"])


def work_in_child(work: Work, attempt: Path, watch: Callable[[], None]) -> dict[str, Any]:
    """Work on a run in a child process, which writes what it says to ``log.txt`` of the attempt.

    Args:
        work: trains, or evaluates; it is pickled.
        attempt: the folder of the claim, which this process holds.
        watch: called about every :data:`POLL` seconds.

    Returns:
        The measured part of the result record.

    Raises:
        UsageError, RunError: as in the child; also for a bug there, whose traceback is in the log,
            and for a child that was killed.
        Stopped: the child was asked to stop, and has saved its work.
    """
    ours, theirs = CONTEXT.Pipe(duplex=False)
    settings = (dict(os.environ), list(sys.path), Path.cwd())
    name = attempt.parents[1].name
    child = CONTEXT.Process(target=_live, args=(theirs, settings, work, attempt), name=name)

    def pass_on(number: int) -> None:
        if child.pid is not None and child.is_alive():
            os.kill(child.pid, number)

    with Signals(pass_on) as signals:
        child.start()
        theirs.close()
        try:
            while not ours.poll(POLL):
                watch()
            ended = ours.recv()
        except EOFError:  # it died without a word
            ended = None
        finally:
            child.join()
    if ended is None and signals.received is None:
        raise RunError(_death(child.exitcode or 0))
    kind: str
    content: Any
    kind, content = ended or (Stopped.__name__, (signals.received, "before it could save anything"))
    if kind == "measured":
        return dict(content)
    if kind == Stopped.__name__:
        stop = Stopped(*content)
        stop.answer = signals.answer_scheduler
        raise stop
    raise getattr(errors, kind)(content)


def _death(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code} and without a word"
    name = signal.Signals(-code).name
    hint = "; the system does that when memory runs out" if name == "SIGKILL" else ""
    return f"its process was killed by {name}{hint}"


def _live(
    pipe: Connection, settings: tuple[dict[str, str], list[str], Path], work: Work, attempt: Path
) -> None:
    """The child's life."""
    os.environ.clear()
    environment, sys.path[:], folder = settings
    os.environ.update(environment)
    os.chdir(folder)
    _end_with_parent()
    log = os.open(attempt / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    with Signals() as signals:
        try:
            measured = work(lambda: still_ours(attempt), signals)
            pipe.send(("measured", measured))
        except Stopped as stop:
            pipe.send((Stopped.__name__, (stop.signum, stop.where)))
        except (UsageError, RunError) as error:
            kind = UsageError if isinstance(error, UsageError) else type(error)
            pipe.send((kind.__name__, str(error)))
        except BaseException as error:
            traceback.print_exc()
            pipe.send((RunError.__name__, f"{type(error).__name__}: {error}"))
    pipe.close()


def _end_with_parent() -> None:
    """Nobody would record what an orphan does."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True, name="parent").start()


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
