"""Stopping on a signal: Ctrl-C, a scheduler that needs the node back, a time limit."""

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

    Attributes:
        received: the signal, or None.

    Args:
        passed_on: called with the signal as it comes, e.g. to hand it to a child process.
    """

    def __init__(self, passed_on: Callable[[int], None] | None = None) -> None:
        self.received: int | None = None
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
        """Catch the signals, also after a library has put its own handlers in their place."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._receive)

    def answer_scheduler(self) -> None:
        """Let a scheduler's own handler have its turn, now that the work is saved.

        submitit puts a job that ran into its time limit back into the queue this way. In a plain
        SLURM job, SIGUSR1 (``sbatch --signal=USR1@120``) means the same.
        """
        if self.received is None or self.received == signal.SIGINT:
            return
        handler = self.before.get(self.received)
        if callable(handler):
            handler(self.received, None)
        elif self.received == signal.SIGUSR1 and "SLURM_JOB_ID" in os.environ:
            subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=False)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
        if self.passed_on is not None:
            self.passed_on(number)
