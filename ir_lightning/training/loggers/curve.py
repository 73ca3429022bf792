"""The training curve on disk: metrics.csv, a row per logged iteration."""

import csv
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from ir_lightning.files import atomic_write

SAVE_EVERY = 5.0  # seconds


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
