"""W&B that a run never waits for, except a stated time at its end, and never fails with."""

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
UPLOAD = 0.4  # share of the patience for the last uploads; the rest is for closing the files


class PatientWandb(Logger):
    """Logs to W&B from a process of its own, which may hang, fail or be killed.

    Training only ever puts messages into a queue; a thread passes them on once W&B has begun the
    run. If it does not begin online within ``patience`` seconds, or within half of that after the
    training, it begins offline. :meth:`finish` is the one call that waits: ``patience`` seconds
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
        self.messages: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self.begun = threading.Event()  # or it is certain that no run will
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
        self._put("log", ({k: v.item() if hasattr(v, "item") else v for k, v in metrics.items()}, step))

    @rank_zero_only
    def log_table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Log a table, row by row."""
        self._put("table", (name, columns, rows))

    @rank_zero_only
    def log_image(self, name: str, image: Any) -> None:
        """Log one image, an array (H, W, 3) of 8 bit."""
        self._put("image", (name, image))

    @rank_zero_only
    def log_summary(self, values: dict[str, Any]) -> None:
        """Set the run's final numbers."""
        self._put("summary", values)

    @rank_zero_only
    def finish(self, exit_code: int) -> None:
        """End the run on W&B. Returns within ``patience`` seconds, whatever becomes of that."""
        deadline = time.monotonic() + self.patience
        self._put("finish", exit_code)
        if not self.begun.wait(self.patience / 2):
            with self.lock:
                if self.process and self.process.online and not self.begun.is_set():
                    self.hurried = True  # what is left is enough for an offline run
                    self.process.kill()
        self.thread.join(max(0.0, deadline - time.monotonic()))
        if self.thread.is_alive():
            self._give_up(
                f"W&B did not finish within logger.wandb.patience={self.patience:g} seconds and "
                f"was left behind: `wandb sync --include-online {self.begin['dir']}/wandb` uploads "
                "what it has written."
            )
            if self.process:
                self.process.kill()

    def _put(self, kind: str, content: Any) -> None:
        if self.off:
            return
        try:
            self.messages.put_nowait(pickle.dumps((kind, content)))
        except queue.Full:
            self._give_up("W&B takes no more, and is off for the rest of this run.")
        except Exception as error:  # nothing that can be logged is worth a run
            self._give_up(f"W&B is off for the rest of this run: {error}.")

    def _give_up(self, sentence: str) -> None:
        with self.lock:
            told, self.off = self.off, True
        if not told:
            warnings.warn(sentence, stacklevel=3)

    def _work(self) -> None:
        """The life of the thread."""
        try:
            problem = self._start(online=self.online)
            if problem and self.online:
                warnings.warn(
                    f"W&B did not begin this run online ({problem}), so it is logged offline: "
                    f"`wandb sync {self.begin['dir']}/wandb/offline-run-*` uploads it.",
                    stacklevel=2,
                )
                problem = self._start(online=False)
            problem = problem or self._pass_on()
            if problem:
                self._give_up(problem)
        except Exception as error:
            self._give_up(f"W&B is off for the rest of this run: {error}.")
        finally:
            self.begun.set()

    def _start(self, online: bool) -> str | None:
        """Begin a run; returns why that was not possible."""
        settings = {
            "argv": sys.argv,
            "x_stats_pid": os.getpid(),  # whose memory and GPU are shown
            "init_timeout": self.patience,
            "finish_timeout": self.patience * UPLOAD,
            "finish_timeout_raises": True,
        }
        mode = {} if online else {"mode": "offline"}  # the environment may make less of online
        process = self.process = _Process(online)
        process.send(pickle.dumps((settings, self.begin | mode)))
        answer, reason = process.hear()
        with self.lock:
            if answer == "ready" and not (online and self.hurried):
                self.begun.set()
                return None
        return reason or f"no answer within {self.patience / 2:g} seconds"

    def _pass_on(self) -> str | None:
        """Send what comes, to the end; returns what went wrong."""
        ...


class _Process:
    """``wandb_process.py`` at work.

    Args:
        online: what it is to try; for its owner to remember.
    """
