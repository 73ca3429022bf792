"""The training curve that a run has left."""

import csv
from pathlib import Path

import numpy as np

from ir_lightning.report.collect import Array
from ir_lightning.runs.result import CURVE

Curve = tuple[Array, Array]
"""(N,) iterations and (N,) values."""


def read_curves(run_dir: Path) -> dict[str, Curve]:
    """Each column of ``metrics.csv``, where it has values; empty if no file can be read."""
    try:
        with (run_dir / CURVE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = {}
        for name in rows[0] if rows else ():
            points = [(float(r["iteration"]), float(r[name])) for r in rows if r.get(name)]
            if points:
                x, y = np.array(points).T
                found[name] = (x, y)
        return found
    except (OSError, ValueError, KeyError):
        return {}
