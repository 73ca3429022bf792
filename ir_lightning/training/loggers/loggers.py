"""W&B and TensorBoard: what each needs to know about a run, and what is sent at its end."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from ir_lightning.errors import UsageError
from ir_lightning.runs.record import read_result
from ir_lightning.training.loggers.patient_wandb import PatientWandb


def wandb_logger(
    run_dir: Path,
    run_id: str,
    config: dict[str, Any],
    project: str,
    entity: str | None,
    mode: str,
    group: str | None = None,
    patience: float = 30.0,
) -> PatientWandb:
    """A W&B run whose id is the config hash, so that a continued run is the same one there.

    Online, W&B appends the continued part. Offline, each part lies in a folder of its own,
    ``wandb/offline-run-TIME-ID``, and ``wandb sync RUN/wandb/offline-run-*`` uploads them in order
    of time as one run; parts that were uploaded before are skipped. What had been logged before a
    crash and is logged again is there twice, at the same ``iteration``.

    Args:
        run_dir: the run's directory. On the dashboard a run of a sweep is called by what varies in
            the sweep, any other one by its directory.
        run_id: config hash.
        config: plain, resolved configuration.
        project, entity: where on W&B.
        mode: ``offline`` (no network, no account; ``wandb sync`` uploads later) or ``online``,
            which becomes offline where the server does not answer or ``WANDB_MODE`` says so.
        group: runs with the same one are shown together; None for the sweep, if there is one.
        patience: seconds that W&B may delay the run, in total.

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
    return PatientWandb(begin, online=mode == "online", patience=patience)


def tensorboard_logger(run_dir: Path, run_id: str, config: dict[str, Any]) -> TensorBoardLogger:
    """TensorBoard event files in ``tensorboard/`` of the run directory."""
    del run_id, config  # the directory says which run it is, and holds its configuration
    return TensorBoardLogger(save_dir=str(run_dir), name="tensorboard", version="")


def publish(
    loggers: Iterable[Logger],
    result: dict[str, Any],
    rows: list[dict[str, Any]],
    grid: np.ndarray[Any, Any],
) -> None:
    """Send the final scores, the table of test images and the image grid."""
    for logger in loggers:
        if isinstance(logger, PatientWandb):
            columns = list(rows[0])
            logger.log_table("test/images", columns, [[row[c] for c in columns] for row in rows])
            logger.log_image("test/grid", grid)
            for kind in ("degraded", "restored"):
                logger.log_summary({f"test/{kind}_{m}": v for m, v in result[kind].items()})
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image("test/grid", grid, result["iterations"], dataformats="HWC")
            for metric, value in result["restored"].items():
                logger.experiment.add_scalar(f"test/{metric}", value, result["iterations"])


def close(loggers: Iterable[Logger], status: str) -> None:
    """End every logger, whatever happened: a sweep's next run must not write into this one."""
    for logger in loggers:
        logger.finalize("success" if status == "finished" else "failed")
        if isinstance(logger, PatientWandb):
            logger.finish(exit_code=0 if status == "finished" else 1)
