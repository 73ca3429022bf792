"""The loggers on this machine, and how every logger is shown a run's result and is ended."""

import csv
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray

from ir_lightning.files import atomic_write

SAVE_EVERY = 5.0  # seconds
Record = Mapping[str, Any]


@runtime_checkable
class ResultLogger(Protocol):
    """A logger that also shows the result of a run. Any other one is given the curve alone."""

    def log_result(self, result: Record, scores: pd.DataFrame, grid: NDArray[np.uint8]) -> None:
        """Show the measured part of the record, the table of scores and some images, (H, W, 3)."""

    def close(self, exit_code: int) -> None:
        """End the run: nothing is logged any more, and the next one in this process is another."""


def final_scores(result: Record) -> dict[str, float]:
    """The mean scores of the test images, of any metrics, as ``restored_psnr`` and its value."""
    kinds = ("degraded", "restored")
    return {f"{kind}_{name}": value for kind in kinds for name, value in result[kind].items()}


def publish(
    loggers: Iterable[Logger], result: Record, scores: pd.DataFrame, grid: NDArray[np.uint8]
) -> None:
    """Show the result on every logger that can."""
    for logger in loggers:
        if isinstance(logger, ResultLogger):
            logger.log_result(result, scores, grid)


def close(loggers: Iterable[Logger], status: str) -> None:
    """End every logger, whatever happened: a sweep's next run must not write into this one.

    ``status`` is ``finished``, or anything else for a run that was not.
    """
    for logger in loggers:
        logger.finalize("success" if status == "finished" else "failed")
        if isinstance(logger, ResultLogger):
            logger.close(exit_code=0 if status == "finished" else 1)


class TensorBoard(TensorBoardLogger):
    """Lightning's logger, which also shows the final scores and the image grid."""

    def log_result(self, result: Record, scores: pd.DataFrame, grid: NDArray[np.uint8]) -> None:
        """Add scalars and the image at the last iteration."""
        self.experiment.add_image("test/grid", grid, result["iterations"], dataformats="HWC")
        for name, value in final_scores(result).items():
            self.experiment.add_scalar(f"test/{name}", value, result["iterations"])

    def close(self, exit_code: int) -> None:
        """Nothing: :meth:`finalize` has closed the files."""


def tensorboard_logger(run_dir: Path, run_id: str, config: dict[str, Any]) -> TensorBoard:
    """TensorBoard event files in ``tensorboard/`` of the run directory."""
    del run_id, config  # the directory says which run it is, and holds its configuration
    return TensorBoard(save_dir=str(run_dir), name="tensorboard", version="")


class CurveLogger(Logger):
    """Writes ``metrics.csv``, always whole, with columns in order of their first appearance.

    Lightning's own CSV logger deletes the earlier file when a run is resumed; this one continues it
    from the iteration ``start``, and drops later rows of an earlier attempt.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        super().__init__()
        self.path = path
        self.rows: dict[int, dict[str, Any]] = {}
        if start and path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                earlier = {int(row["iteration"]): row for row in csv.DictReader(file)}
            self.rows = {i: row for i, row in earlier.items() if i <= start}
        before = float(self.rows[max(self.rows)]["seconds"]) if self.rows else 0.0
        self.began = time.monotonic() - before
        self.saved = time.monotonic()

    @property
    def name(self) -> str:
        return "curve"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Nothing: the run directory holds the whole configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add values to the row of iteration ``step``."""
        assert step is not None
        seconds = round(time.monotonic() - self.began, 3)
        self.rows.setdefault(step, {"iteration": step, "seconds": seconds}).update(metrics)
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Bring the file up to date, unless its run directory was deleted."""
        if not self.path.parent.exists():
            return
        columns = list(dict.fromkeys(key for row in self.rows.values() for key in row))
        with atomic_write(self.path) as file:
            table = csv.DictWriter(file, fieldnames=columns, restval="")
            table.writeheader()
            table.writerows(self.rows.values())
        self.saved = time.monotonic()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self.rows:
            self.save()
