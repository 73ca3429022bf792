"""Methods by data sets, as the paper prints its Table II."""

import math
from collections import Counter
from collections.abc import Sequence

from ir_lightning.errors import UsageError
from ir_lightning.report.content import Table
from ir_lightning.report.tables import Entry

Scores = tuple[float, float]
"""PSNR in dB, and SSIM."""


def overview(table: Sequence[Entry]) -> Table:
    """A row for each method: ours; where the paper printed numbers, its row and the difference.

    Seeds that are missing are told in the cell: ``25.10 / 0.8012 (1/2)``.

    Args:
        table: entries that name a column each.

    Raises:
        UsageError: several entries share row and column.
    """
    counted = Counter((entry.row, entry.column) for entry in table)
    for (row, column), count in counted.items():
        if count > 1:
            raise UsageError(f"{count} cells are {row} on {column}; this table shows one of each.")
    columns = list(dict.fromkeys(entry.column for entry in table))
    rows = []
    for method in dict.fromkeys(entry.row for entry in table):
        own = {entry.column: entry for entry in table if entry.row == method}
        cells = [own.get(column) for column in columns]
        rows.append((method, *(_ours(cell) for cell in cells)))
        if any(cell and cell.paper for cell in cells):
            printed = [cell.paper if cell else None for cell in cells]
            rows.append((f"{method}: paper", *(_text(scores) for scores in printed)))
            differences = [_text(_difference(cell), "+") for cell in cells]
            rows.append((f"{method}: difference", *differences))
    return Table(("PSNR (dB) / SSIM", *columns), rows)


def _ours(entry: Entry | None) -> str:
    if entry is None:
        return "-"
    missing = "" if entry.done == entry.asked else f" ({entry.done}/{entry.asked})"
    return _text((entry.psnr, entry.ssim)) + missing


def _difference(entry: Entry | None) -> Scores | None:
    if entry is None or entry.paper is None:
        return None
    return entry.psnr - entry.paper[0], entry.ssim - entry.paper[1]


def _text(scores: Scores | None, sign: str = "") -> str:
    if scores is None or math.isnan(scores[0]):
        return "-"
    return f"{scores[0]:{sign}.2f} / {scores[1]:{sign}.4f}"
