"""``train.py`` in a process of its own that need not import torch: a fork of one that has it.

What a command imports, and what a scheduler or another environment starts, is tested with
``subprocess`` instead: a true process costs eight seconds more.
"""

import os
import runpy
import signal
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from ir_lightning.errors import STOP_SIGNALS
from ir_lightning.launch.child import CONTEXT
from tests.conftest import ROOT


class Ended(NamedTuple):
    """How a command has ended: its exit code (minus the signal that killed it), what it said."""

    code: int
    out: str
    err: str


class Command:
    """``python train.py ARGUMENTS``, which has begun.

    Args:
        arguments: of ``train.py``.
        environment: variables beside those of this process.
    """

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.said = Path(tempfile.mkdtemp(prefix="command-"))
        variables = os.environ | environment | {"PYTHONPATH": str(ROOT)}
        self.process = CONTEXT.Process(target=_live, args=(arguments, variables, self.said))
        self.process.start()

    def ended(self) -> bool:
        return self.process.exitcode is not None

    def send(self, signum: int) -> None:
        os.kill(self.process.pid, signum)

    def end(self, timeout: float = 300) -> Ended:
        """Wait for the end, and at most so many seconds."""
        self.process.join(timeout)
        assert self.ended(), f"still running after {timeout} s"
        return Ended(self.process.exitcode, self._read("out"), self._read("err"))

    def _read(self, name: str) -> str:
        return (self.said / name).read_text("utf-8")


def train(*arguments: str, **environment: str) -> Ended:
    """``python train.py ARGUMENTS`` from its beginning to its end."""
    return Command(*arguments, **environment).end()


def _live(arguments: tuple[str, ...], environment: dict[str, str], said: Path) -> None:
    """The process's life."""
    os.setsid()
    for number in STOP_SIGNALS:  # the process that it is forked from ignores them
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        stream.flush()
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT), stream.fileno())
    sys.argv = ["train.py", *arguments]
    runpy.run_path("train.py", run_name="__main__")
