"""Runs on TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray

from ir_lightning.training.loggers.result import Rows, final_scores


class TensorBoard(TensorBoardLogger):
    """Lightning's logger, which also shows the final scores and the image grid."""

    def log_result(self, result: Mapping[str, Any], rows: Rows, grid: NDArray[np.uint8]) -> None:
        """Add scalars and the image at the last iteration."""
        self.experiment.add_image("test/grid", grid, result["iterations"], dataformats="HWC")
        for name, value in final_scores(result):
            self.experiment.add_scalar(f"test/{name}", value, result["iterations"])

    def close(self, exit_code: int) -> None:
        """Nothing: :meth:`finalize` has closed the files."""


def tensorboard_logger(run_dir: Path, run_id: str, config: dict[str, Any]) -> TensorBoard:
    """TensorBoard event files in ``tensorboard/`` of the run directory."""
    del run_id, config  # the directory says which run it is, and holds its configuration
    return TensorBoard(save_dir=str(run_dir), name="tensorboard", version="")
