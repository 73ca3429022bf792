"""A run's result on its loggers, TensorBoard for one, and their end."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from numpy.typing import NDArray

Record = Mapping[str, Any]


@runtime_checkable
class ResultLogger(Protocol):
    """A logger that also shows the result of a run. Any other one is given the curve alone."""

    def log_result(self, result: Record, scores: pd.DataFrame, grid: NDArray[np.uint8]) -> None:
        """Show the result.

        Args:
            result: the measured part of the record, with ``iterations`` and, by kind and metric,
                ``degraded`` and ``restored``.
            scores: of the test images (:func:`ir_lightning.runs.scores.score_table`).
            grid: some of the images, (H, W, 3).
        """

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
