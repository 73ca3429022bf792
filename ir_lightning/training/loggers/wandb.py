"""Runs on W&B: one for each config hash, offline unless asked, and never what a training fails by.

wandb's own limits bound what a server costs that does not answer: ``patience`` seconds when a run
begins, as many when it ends, and about three for its service to start and stop. Not bounded is what
happens on this machine: where the service is stopped (SIGSTOP) or its disk hangs, so does a log.
"""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray

from ir_lightning.errors import UsageError
from ir_lightning.runs.record import read_result
from ir_lightning.training.loggers.result import Rows, final_scores

STEP = "iteration"  # the x axis; W&B's own step goes on counting when a run is resumed


class Wandb(WandbLogger):
    """Lightning's logger, whose failures are one warning each, and which then logs nothing more.

    Args:
        begin: arguments of ``wandb.init``, with ``dir``, ``id`` and ``project``.
        online: try the server first; ``WANDB_MODE`` may say otherwise.
        patience: seconds.
    """

    def __init__(self, begin: dict[str, Any], online: bool, patience: float) -> None:
        # wandb reads it when it is imported: how long a question about a table may take.
        os.environ.setdefault("WANDB_HTTP_TIMEOUT", str(max(1, round(patience / 2))))
        run = _begin_online(begin, patience) if online else None
        self.off = False
        super().__init__(
            save_dir=begin["dir"],
            version=begin["id"],
            project=begin["project"],
            experiment=run or _begin(begin, "offline", patience),
        )

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log values at iteration ``step``; logged once more, they are a second row there."""
        with self.harmless():
            self.experiment.log({**metrics, STEP: step} if step is not None else {**metrics})

    @rank_zero_only
    def log_result(self, result: Mapping[str, Any], rows: Rows, grid: NDArray[np.uint8]) -> None:
        """Log the table of test images and the image grid, and set the run's final scores."""
        with self.harmless():
            scores = {f"test/{name}": value for name, value in final_scores(result)}
            self.experiment.summary.update(scores)
            self.log_image("test/grid", [grid])
            self.log_table("test/images", list(rows[0]), [list(row.values()) for row in rows])

    @rank_zero_only
    def log_page(self, name: str, page: Path) -> None:
        """Log a self-contained HTML page."""
        import wandb

        with self.harmless():
            self.log_metrics({name: wandb.Html(page.read_text("utf-8"), inject=False)})

    @rank_zero_only
    def close(self, exit_code: int) -> None:
        """End the run on W&B, and wandb's service with it."""
        with self.harmless():
            self.experiment.finish(exit_code=exit_code)
        _stop_service()

    @contextmanager
    def harmless(self) -> Iterator[None]:
        """Turn what goes wrong into one warning."""
        try:
            yield
        except Exception as error:
            if not self.off:
                warnings.warn(f"W&B {_reason(error)}", stacklevel=2)
            self.off = True
