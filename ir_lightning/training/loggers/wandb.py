"""Runs on W&B: one for each config hash, offline by default, and never what a training fails by."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.loggers import WandbLogger
from numpy.typing import NDArray

from ir_lightning.errors import UsageError
from ir_lightning.runs.record import read_result
from ir_lightning.training.loggers.local import Record, final_scores

STEP = "iteration"  # the x axis; W&B's own step goes on counting when a run is resumed


class Wandb(WandbLogger):
    """Lightning's logger, of a run that has begun; what goes wrong is a warning, and no error.

    A server that does not answer costs ``patience`` seconds when a run begins, as many when it
    ends, and about three more for wandb's service. Trouble on this machine is not bounded: while
    the service is stopped (SIGSTOP) or its disk hangs, so does the training.

    Args:
        begin: arguments of ``wandb.init``, with ``dir``, ``id`` and ``project``.
        online: try the server first, unless ``WANDB_MODE`` says otherwise.
        patience: seconds.
    """

    def __init__(self, begin: dict[str, Any], online: bool, patience: float) -> None:
        self.warned = False
        names = {"save_dir": begin["dir"], "version": begin["id"], "project": begin["project"]}
        super().__init__(**names, experiment=_begin(begin, online, patience))

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log values at iteration ``step``; logged a second time, they are another row there."""
        with self.harmless():
            self.experiment.log({**metrics} if step is None else {**metrics, STEP: step})

    def log_result(self, result: Record, scores: pd.DataFrame, grid: NDArray[np.uint8]) -> None:
        """Set the run's final scores, log the image grid and the table of test images."""
        with self.harmless():
            summary = {f"test/{name}": value for name, value in final_scores(result).items()}
            self.experiment.summary.update(summary)
            self.log_image("test/grid", [grid])
            self.log_table("test/images", scores.columns.tolist(), scores.to_numpy(object).tolist())

    def log_page(self, name: str, page: Path) -> None:
        """Log a self-contained HTML page."""
        import wandb

        with self.harmless():
            self.log_metrics({name: wandb.Html(page.read_text("utf-8"), inject=False)})

    def close(self, exit_code: int) -> None:
        """End the run on W&B, and wandb's service with it."""
        with self.harmless():
            self.experiment.finish(exit_code=exit_code)
        _end_service()

    @contextmanager
    def harmless(self) -> Iterator[None]:
        """Turn the first thing that goes wrong into a warning, and hide the others."""
        try:
            yield
        except Exception as error:
            if not self.warned:
                folder = self.experiment.settings.sync_dir
                warnings.warn(
                    f"W&B does not have all of this run ({_reason(error)}). The curve is in "
                    f"metrics.csv, and `wandb sync --include-online {folder}` uploads what W&B has "
                    "on disk.",
                    stacklevel=3,
                )
            self.warned = True


def _begin(begin: dict[str, Any], online: bool, patience: float) -> Any:
    """Begin a run online, or else offline, or else one that takes all and keeps nothing."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which goes online, offline too
    import wandb

    modes = [os.environ.get("WANDB_MODE", "online")] if online else []
    for mode in dict.fromkeys((*modes, "offline")):
        try:
            settings = wandb.Settings(
                silent=True,
                console="off",
                reinit="create_new",  # not the run that something else here has left open
                init_timeout=patience,
                finish_timeout=patience / 2,
                finish_timeout_raises=True,
                x_transaction_log_flush_interval=1.0,  # seconds that a killed run may lose
            )
            wandb.setup(settings)
            if mode == "online" and not wandb.login(prompt=False, verify=False):
                raise ConnectionError("no API key is configured; `wandb login` does that")
            # Before a table is sent, the server is asked whether it knows the key.
            wandb.Api._HTTP_TIMEOUT = max(1, round(patience / 2))
            # Resumed offline, too: `wandb sync` then appends to what W&B has already.
            run = wandb.init(**begin | {"mode": mode}, resume="allow")
            run.define_metric(STEP)
            run.define_metric("*", step_metric=STEP, step_sync=True)
            return run
        except Exception as error:
            _end_service()
            parts = f"{begin['dir']}/wandb/offline-run-*"
            then = f"logs it offline: `wandb sync {parts}` uploads it later"
            if mode == "offline":
                then = "is off for it; the curve is in metrics.csv"
            problem = f"W&B could not begin this run {mode} ({_reason(error)}), so it {then}."
            warnings.warn(problem, stacklevel=4)
    return wandb.init(mode="disabled")


def _end_service() -> None:
    """End wandb's service, which holds the ids of its runs, and is waited for at the exit."""
    import wandb

    with suppress(Exception, SystemExit):
        wandb.teardown()


def _reason(error: Exception) -> str:
    """An error's message as a part of a sentence."""
    return " ".join(str(error).split()).rstrip(".:")[:300] or type(error).__name__


def wandb_logger(
    run_dir: Path,
    run_id: str,
    config: dict[str, Any],
    project: str,
    entity: str | None,
    mode: str,
    group: str | None = None,
    patience: float = 30.0,
) -> Wandb:
    """A W&B run whose id is the config hash, so that a resumed run is the same one there.

    Online, W&B appends the resumed part. Offline, each part lies in a folder of its own,
    ``wandb/offline-run-TIME-ID``, and ``wandb sync RUN/wandb/offline-run-*`` uploads them in order
    of time as one run. It stops at a part that a power cut has left incomplete;
    ``ls -d RUN/wandb/offline-run-* | xargs -n 1 wandb sync`` does not. What was logged before a
    crash and again is there twice, at the same ``iteration``. A run of a sweep is called by what
    varies in the sweep, any other one by its directory.

    Args:
        run_dir: the run's directory.
        run_id: config hash.
        config: plain, resolved configuration.
        project, entity: where on W&B. The server and the key are the user's own settings.
        mode: ``offline`` (no network, no account; ``wandb sync`` uploads later) or ``online``,
            which becomes offline where the server does not answer or ``WANDB_MODE`` says so.
        group: runs with the same one are shown together; None for the sweep, if there is one.
        patience: seconds that W&B may delay the run when it begins, and once more when it ends.

    Raises:
        UsageError: ``mode`` or ``patience`` makes no sense.
    """
    if mode not in ("offline", "online"):
        raise UsageError(f"logger.wandb.mode must be offline or online, not {mode!r}.")
    if patience <= 0:
        raise UsageError(f"logger.wandb.patience must be above 0 seconds, not {patience:g}.")
    record = read_result(run_dir)
    begin = {
        "name": record.get("label") or run_dir.name,
        "id": run_id,
        "project": project,
        "entity": entity,
        "group": group or record.get("sweep"),
        "dir": str(run_dir),
        "config": config,
    }
    return Wandb(begin, online=mode == "online", patience=patience)
