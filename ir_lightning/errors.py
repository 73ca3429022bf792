"""The ways to end that can be said in a sentence: no bugs, so shown without a traceback."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""The signals by which a person or a scheduler asks a run to save and stop."""


class UsageError(Exception):
    """The request cannot work as asked (exit code 2); the message says what to do."""


class RunError(Exception):
    """A run ended under way, for a reason that can be named (exit code 1)."""


class DataError(RunError):
    """A file turned out to be broken while it was being used; the message names the file."""


class DivergedError(RunError):
    """A loss or a weight is no longer a finite number. The message names the iteration."""


class StorageError(RunError):
    """What a run has to write cannot be written: no space, no permission, no directory."""


class Stopped(SystemExit):
    """A signal asked the run to stop, and it has saved its work (exit code 128 + signal).

    A ``SystemExit``, so that neither Hydra nor a launcher goes on with the next run. ``where`` says
    what was saved.
    """

    def __init__(self, signum: int, where: str) -> None:
        super().__init__(128 + signum)
        self.signum, self.where = signum, where
        self.answer: Callable[[], None] = lambda: None  # to the scheduler, once all is on the disk

    def __str__(self) -> str:
        return f"Stopped by {signal.Signals(self.signum).name} {self.where}"


class UnpairedError(UsageError):
    """Images without a partner, all of them, so that a check can list what a sentence cannot."""

    def __init__(self, message: str, files: Sequence[Path]) -> None:
        super().__init__(message)
        self.files = list(files)


def one_line(error: Exception) -> str:
    """An error as one line for the person at the keyboard."""
    return f"error: {' '.join(str(error).split())}"
