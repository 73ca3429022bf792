"""Finding and ending what an engine has started, however it was started."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

GRACE = 10.0  # seconds that processes may take to go


def marked(variable: str) -> Iterator[int]:
    """The processes, other than this one, that began with ``NAME=VALUE`` in their environment.

    Children inherit it, also those that leave their parent, group or session.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone, or somebody else's
            environment = (folder / "environ").read_bytes().split(b"\0")
            if variable.encode() in environment and folder.name != str(os.getpid()):
                yield int(folder.name)


def end(variable: str) -> None:
    """Kill what is :func:`marked`, and what it starts meanwhile, and see it gone."""
    deadline = time.monotonic() + GRACE
    while (left := list(marked(variable))) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
