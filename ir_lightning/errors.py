"""The two kinds of failure that are the user's business, each one sentence long.

Neither is a bug in the program, so neither is shown with a traceback.
"""

from collections.abc import Sequence
from pathlib import Path


class UsageError(Exception):
    """The request cannot work as asked: a key, a path or a combination of options (exit code 2).

    The message names the key or file and says what to do. Raised before any training.
    """


class DataError(Exception):
    """A file turned out to be broken while it was being used (exit code 1).

    The message names the file. Before training, the check reports the same problem as a
    :class:`UsageError`.
    """


class UnpairedError(UsageError):
    """Images without a partner, all of them, so that a check can list what a sentence cannot."""

    def __init__(self, message: str, files: Sequence[Path]) -> None:
        super().__init__(message)
        self.files = list(files)
