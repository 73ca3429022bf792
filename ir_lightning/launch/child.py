"""A training in a child process, and signals that stop it: whatever comes, the sweep goes on."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.status import Status

from ir_lightning import errors
from ir_lightning.errors import STOP_SIGNALS, RunError, Stopped, UsageError
from ir_lightning.runs.claim import still_ours
from ir_lightning.runs.record import LOG
from ir_lightning.runs.state import iteration_of


class Signals:
    """While this is entered, the first signal is only ``received``, so that work can be saved.

    A second Ctrl-C does what it always does. ``passed_on`` is called with the signal as it comes.
    """

    def __init__(self, passed_on: Callable[[int], None] | None = None) -> None:
        self.received: int | None = None
        self.passed_on = passed_on
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        self.before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
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


def begin_importing() -> None:
    """Let that process import torch from now on, while this one does something else."""
    if CONTEXT.get_start_method() == "forkserver":
        forkserver.ensure_running()


def work_in_child(work: Work, attempt: Path, watch: Callable[[], None]) -> dict[str, Any]:
    """Do pickled work in a child process, which writes what it says to ``log.txt`` of the attempt.

    ``watch`` is called about every :data:`POLL` seconds.

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
            kind, content = ours.recv()
        except EOFError:  # it died without a word
            kind, content = Stopped.__name__, (signals.received, "before it could save anything")
        finally:
            child.join()
    if kind == "measured":
        return dict(content)
    if kind != Stopped.__name__:
        raise getattr(errors, kind)(content)
    if content[0] is None:
        raise RunError(_death(child.exitcode or 0))
    stop = Stopped(*content)
    stop.answer = signals.answer_scheduler
    raise stop


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
    write_into(attempt / LOG)
    with Signals() as signals:
        try:
            pipe.send(("measured", work(lambda: still_ours(attempt), signals)))
        except Stopped as stop:
            pipe.send((Stopped.__name__, (stop.signum, stop.where)))
        except (UsageError, RunError) as error:
            kind = UsageError if isinstance(error, UsageError) else type(error)
            pipe.send((kind.__name__, str(error)))
        except BaseException as error:
            traceback.print_exc()
            pipe.send((RunError.__name__, f"{type(error).__name__}: {error}"))
    pipe.close()


def write_into(log: Path) -> None:
    """From now on, append whatever this process prints, and its libraries, to a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())


def _end_with_parent() -> None:
    """Nobody would record what an orphan does."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True, name="parent").start()


@contextmanager
def watched(console: Console, run_dir: Path, iterations: int) -> Iterator[Callable[[], None]]:
    """A line that says how far a run is, where somebody looks at a terminal; yields its update."""
    if not console.is_terminal:
        yield lambda: None
        return
    began = time.monotonic()

    def update() -> None:
        done = f"{iteration_of(run_dir)}/{iterations} iterations"
        status.update(f"{done}, {time.monotonic() - began:.0f} s")

    with Status("starting", console=console) as status:
        yield update
