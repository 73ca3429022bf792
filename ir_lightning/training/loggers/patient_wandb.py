"""W&B that a run never waits for, except a stated time at its end, and never fails with."""

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

SCRIPT = Path(__file__).with_name("wandb_process.py")
WAITING = 10_000  # messages; with so many untaken, nobody takes them
# Shares of the patience, once the training is over: to begin, if that is still to be done, for a
# table, for uploads and for closing the files.
BEGIN, TABLE, UPLOAD, CLOSE = 0.3, 0.1, 0.4, 0.1


class PatientWandb(Logger):
    """Logs to W&B from a process of its own, which may hang, fail or be killed.

    Training only ever puts messages into a queue; a thread passes them on once W&B has begun the
    run. If it does not begin online within ``patience`` seconds, or soon after a training that is
    over sooner, it begins offline. :meth:`finish` is the one call that waits: ``patience`` seconds
    at most, then the process is killed. What goes wrong is said in one warning, and costs nothing
    but the dashboard.

    Args:
        begin: arguments of ``wandb.init``, with ``dir``, ``id`` and ``project``.
        online: try the server first.
        patience: seconds.
    """

    def __init__(self, begin: dict[str, Any], online: bool, patience: float) -> None:
        super().__init__()
        self.begin, self.online, self.patience = begin, online, patience
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue(WAITING)
        self.begun = threading.Event()  # the run has, or never will
        self.off = self.hurried = False
        self.lock = threading.Lock()
        self.process: _Process | None = None
        self.thread = threading.Thread(target=self._work, daemon=True, name="wandb")
        self.thread.start()

    @property
    def name(self) -> str:
        return str(self.begin["project"])

    @property
    def version(self) -> str:
        return str(self.begin["id"])

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Nothing: the run begins with its whole configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Log numbers at iteration ``step``; logged again, they are a second row at that place."""
        self._put("log", metrics, step)

    @rank_zero_only
    def log_table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Log a table, row by row."""
        self._put("table", name, columns, rows)

    @rank_zero_only
    def log_image(self, name: str, image: Any) -> None:
        """Log one image, an array (H, W, 3) of 8 bit."""
        self._put("image", name, image)

    @rank_zero_only
    def log_page(self, name: str, page: Path) -> None:
        """Log a self-contained HTML page."""
        self._put("page", name, page.read_text("utf-8"))

    @rank_zero_only
    def log_summary(self, values: dict[str, Any]) -> None:
        """Set the run's final numbers."""
        self._put("summary", values)

    @rank_zero_only
    def finish(self, exit_code: int) -> None:
        """End the run on W&B. Returns within ``patience`` seconds, whatever becomes of that."""
        deadline = time.monotonic() + self.patience
        self._put("finish", exit_code)
        if not self.begun.wait(self.patience * BEGIN):
            with self.lock:
                if self.process and self.process.online and not self.begun.is_set():
                    self.hurried = True  # what is left is enough for an offline run
                    self.process.kill()
        self.thread.join(max(0.0, deadline - time.monotonic()))
        if self.thread.is_alive():
            self._give_up(f"W&B was left behind after {self.patience:g} seconds. {self._remedy()}")
            if self.process:
                self.process.kill()

    def _put(self, kind: str, *content: Any) -> None:
        if self.off:
            return
        try:
            # Packed here, because the training goes on and may change it.
            packed = pickle.dumps((kind, *(_plain(item) for item in content)))
            self.messages.put_nowait((kind, packed))
        except queue.Full:
            self._give_up("W&B takes no more, and is off for the rest of this run.")
        except Exception as error:
            self._give_up(f"W&B is off for the rest of this run ({error}).")

    def _give_up(self, sentence: str) -> None:
        with self.lock:
            told, self.off = self.off, True
        if not told:
            warnings.warn(sentence, stacklevel=2)

    def _remedy(self) -> str:
        if not self.process or not self.process.online:
            return "The curve is in metrics.csv."
        return f"`wandb sync --include-online {self.process.folder}` uploads what is on disk."

    def _work(self) -> None:
        """What the thread does."""
        try:
            problem = self._start(self.online)
            if problem and self.online:
                warnings.warn(
                    f"W&B could not begin this run online ({problem}), so it is logged offline: "
                    f"`wandb sync {self.begin['dir']}/wandb/offline-run-*` uploads it later.",
                    stacklevel=1,
                )
                problem = self._start(online=False)
            if problem:
                self._give_up(f"W&B is off for this run ({problem}). {self._remedy()}")
            elif problem := self._pass_on():
                self._give_up(f"W&B does not have all of this run ({problem}). {self._remedy()}")
        except Exception as error:
            self._give_up(f"W&B is off for the rest of this run ({error}).")
        finally:
            self.begun.set()

    def _start(self, online: bool) -> str | None:
        """Begin the run; returns why that was not possible."""
        arguments = self.begin if online else self.begin | {"mode": "offline"}
        settings = {
            "argv": sys.argv,
            "program": str(Path(sys.argv[0]).resolve()),
            "x_stats_pid": os.getpid(),  # whose memory and GPU are shown
            "init_timeout": self.patience,
            "finish_timeout": self.patience * UPLOAD,
            "finish_timeout_raises": True,
        }
        limits = {"table": self.patience * TABLE, "close": self.patience * CLOSE}
        process = self.process = _Process(online)
        with contextlib.suppress(OSError):  # gone already: it is heard why
            process.send(pickle.dumps((arguments, settings, limits)))
        answer, reason = process.hear()
        with self.lock:
            if answer == "ready" and not (online and self.hurried):
                process.folder = reason
                self.begun.set()
                return None
        process.end()
        return "the server does not answer" if online and self.hurried else reason

    def _pass_on(self) -> str | None:
        """Send message after message, to the end; returns what went wrong."""
        assert self.process is not None
        kind = ""
        with contextlib.suppress(OSError):  # it reads no more, and says why
            while kind != "finish":
                kind, packed = self.messages.get()
                self.process.send(packed)
        answer, reason = self.process.hear()
        self.process.end()
        return None if answer == "finished" else reason


class _Process:
    """``wandb_process.py`` at work, and the pipes to and from it.

    Args:
        online: what it is started for.
    """

    def __init__(self, online: bool) -> None:
        self.online = online
        self.folder = ""  # where W&B writes the run
        self.popen = subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT)],  # -P: nothing is imported from beside the script
            bufsize=0,  # a buffer that a thread still fills would abort Python at its exit
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if k != "WANDB_SERVICE"},
            start_new_session=True,  # Ctrl-C is for the run, which has something to send yet
        )

    def send(self, packed: bytes) -> None:
        """Raises OSError when it is gone."""
        assert self.popen.stdin is not None
        left = memoryview(packed)
        while left:
            left = left[self.popen.stdin.write(left) :]

    def hear(self) -> tuple[str, str]:
        """Wait for an answer: its first word and the reason that follows."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline().decode(errors="replace").strip()
        answer, _, reason = line.partition(" ")
        return answer, reason or "its process died"

    def kill(self) -> None:
        """The service that wandb has started ends with it."""
        self.popen.kill()

    def end(self) -> None:
        """Leave nothing behind, after the last answer."""
        self.kill()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe:
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # a disk that hangs
            self.popen.wait(1)


def _plain(item: Any) -> Any:
    """The same without tensors, which the other process would have to import torch for."""
    if not isinstance(item, dict):
        return item
    return {key: value.item() if hasattr(value, "item") else value for key, value in item.items()}
