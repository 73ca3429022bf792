"""W&B and TensorBoard: what each needs to know about a run, and what is sent at its end."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger


def wandb_logger(
    run_dir: Path,
    run_id: str,
    config: dict[str, Any],
    project: str,
    entity: str | None,
    mode: str,
) -> WandbLogger:
    """A W&B run whose id is the config hash, so that a resumed run continues it.

    Args:
        run_dir: the run's directory; its name is the name on the dashboard.
        run_id: config hash.
        config: plain, resolved configuration.
        project, entity: where on W&B.
        mode: ``offline`` (no network, no account; ``wandb sync`` uploads later) or ``online``.
    """
    import wandb

    offline = mode != "online"
    return WandbLogger(
        name=run_dir.name,
        id=run_id,
        project=project,
        entity=entity,
        save_dir=str(run_dir),
        offline=offline,
        config=config,
        resume=None if offline else "allow",
        settings=wandb.Settings(silent=True, console="off", init_timeout=30),
    )


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
        if isinstance(logger, WandbLogger):
            columns = list(rows[0])
            logger.log_table("test/images", columns, [[row[c] for c in columns] for row in rows])
            logger.log_image("test/grid", [grid])
            for kind in ("degraded", "restored"):
                for metric, value in result[kind].items():
                    logger.experiment.summary[f"test/{kind}_{metric}"] = value
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image("test/grid", grid, result["iterations"], dataformats="HWC")
            for metric, value in result["restored"].items():
                logger.experiment.add_scalar(f"test/{metric}", value, result["iterations"])


def close(loggers: Iterable[Logger], status: str) -> None:
    """End every logger, whatever happened: a sweep's next run must not write into this one."""
    for logger in loggers:
        logger.finalize("success" if status == "finished" else "failed")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=0 if status == "finished" else 1)
