"""``train.py`` in a process of its own that need not import torch: a fork of one that has it.

What a command imports, and what a scheduler or another environment starts, is tested with
``subprocess`` instead: a true process costs eight seconds more.
"""

import os
import runpy
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from lightning.pytorch.strategies.launchers import subprocess_script

from ir_lightning.errors import STOP_SIGNALS
from ir_lightning.launch.child import CONTEXT
from tests.conftest import ROOT


class Ended(NamedTuple):
    """How a command has ended: its exit code (minus the signal that killed it), what it said."""

    code: int
    out: str
    err: str


class Command:
    """``python train.py ARGUMENTS``, which has begun; to its callers, a ``subprocess.Popen``.

    Args:
        arguments: of ``train.py``.
        environment: variables beside those of this process.
        said: the folder of another command that is to have what this one says, too.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], said: Path | None = None
    ) -> None:
        self.said = said or Path(tempfile.mkdtemp(prefix="command-"))
        variables = os.environ | environment | {"PYTHONPATH": str(ROOT)}
        self.process = CONTEXT.Process(target=_live, args=(arguments, variables, self.said))
        self.process.start()
        self.pid: int = self.process.pid

    @property
    def returncode(self) -> int | None:
        code: int | None = self.process.exitcode
        return code

    def poll(self) -> int | None:
        return self.returncode

    def wait(self) -> int:
        return self.end().code

    def send_signal(self, signum: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, signum)

    def end(self, timeout: float = 300) -> Ended:
        """Wait for the end, at most so many seconds; it can be asked for once."""
        self.process.join(timeout)
        code = self.returncode
        assert code is not None, f"still running after {timeout} s"
        out, err = ((self.said / name).read_text("utf-8") for name in ("out", "err"))
        shutil.rmtree(self.said)
        return Ended(code, out, err)


def start(*arguments: str, **environment: str) -> Command:
    """Begin ``python train.py ARGUMENTS``."""
    return Command(arguments, environment)


def train(*arguments: str, **environment: str) -> Ended:
    """The same from its beginning to its end."""
    return start(*arguments, **environment).end()


def popen(command: Sequence[str], *, said: Path | None = None, **options: Any) -> Command:
    """``subprocess.Popen`` for whoever starts ``train.py``."""
    name = next(index for index, word in enumerate(command) if word.endswith(("train.py", "train")))
    return Command(command[name + 1 :], options.get("env") or {}, said)


def _live(arguments: Sequence[str], environment: Mapping[str, str], said: Path) -> None:
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
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream.fileno())
    # Its own processes are forks, too: of the same server, which Python says it does, and does not.
    server: Any = forkserver._forkserver  # type: ignore[attr-defined]
    server.ensure_running = lambda: None
    launcher: Any = subprocess_script
    launcher.subprocess = SimpleNamespace(Popen=partial(popen, said=said))
    sys.argv = ["train.py", *arguments]
    runpy.run_path("train.py", run_name="__main__")
