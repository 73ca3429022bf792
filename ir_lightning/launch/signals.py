"""Stopping when asked: Ctrl-C, a scheduler that needs the node back, a time limit."""

import os
import signal
import subprocess
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from ir_lightning.errors import STOP_SIGNALS


class Signals:
    """While this is entered, the first signal is only remembered, so that work can be saved.

    A second Ctrl-C does what it always does.

    Args:
        passed_on: called with the signal as it comes, e.g. to hand it to a child process.
    """

    def __init__(self, passed_on: Callable[[int], None] | None = None) -> None:
        self.asked: int | None = None
        self.passed_on = passed_on
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        self.before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        self.install()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def install(self) -> None:
        """Catch the signals; again, where a library has put its own handlers in between."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._come)

    def answer_scheduler(self) -> None:
        """Let a scheduler's own handler have its turn, now that the work is saved.

        submitit puts a job that ran into its time limit back into the queue this way. In a plain
        SLURM job, SIGUSR1 (``sbatch --signal=USR1@120``) asks for the same.
        """
        if self.asked is None or self.asked == signal.SIGINT:
            return
        handler = self.before.get(self.asked)
        if callable(handler):
            handler(self.asked, None)
        elif self.asked == signal.SIGUSR1 and "SLURM_JOB_ID" in os.environ:
            subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=False)

    def _come(self, number: int, _: FrameType | None) -> None:
        if self.asked == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = number
        if self.passed_on is not None:
            self.passed_on(number)
