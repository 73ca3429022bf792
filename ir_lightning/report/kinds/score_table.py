"""The table of scores: every cell with its costs, or methods by data sets as in Table II."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ir_lightning.errors import UsageError
from ir_lightning.report.content import Table
from ir_lightning.report.runs import CellRuns, Results
from ir_lightning.statistics.comparison import cell


@dataclass(frozen=True)
class ScoreEntry:
    """One method on one data set."""

    row: str
    column: str
    """The data set, or empty where there is only one."""
    psnr: float
    """Mean over images and seeds, dB; NaN while no run has finished."""
    sd: float
    """Between seeds, dB; NaN below two."""
    ssim: float
    done: int
    asked: int
    """Seeds that have finished, and that the experiment has."""
    paper: tuple[float, float] | None
    """The printed PSNR and SSIM, if there are any for this very data set."""
    parameters: float
    """Of the generator; NaN if not known."""
    multiply_adds: float
    """Of the generator for one 256 x 256 image; NaN if not known."""


def score_table(results: Results) -> Table:
    """All cells as text, without columns that this experiment has no use for."""
    found = entries(results)
    unused = set() if results.report.get("paper") else set(OF_THE_PAPER)
    if not any(entry.column for entry in found):
        unused.add("data")
    return Table(HEADER, lines(found)).without(unused)


def entries(results: Results) -> list[ScoreEntry]:
    """The cells of an experiment's table, in its order."""
    return [_entry(results.report, group) for group in results.groups]


def _entry(report: dict[str, Any], group: CellRuns) -> ScoreEntry:
    column_key = report.get("columns", report.get("panels"))
    column = group.cell.get(str(column_key), "")
    keys = [key for key in group.cell if key != column_key]
    named = report.get("rows", keys)
    rows = [key for key in (named if isinstance(named, list) else [named]) if key in group.cell]
    values = [group.cell[key] for key in rows]
    labels = report.get("labels", {})
    label = ", ".join(
        labels.get(value, f"{key}={value}") for key, value in zip(rows, values, strict=True)
    )
    done, scores = group.finished, cell(group.matrix()) if group.finished else None
    dataset = str(done[0].record["dataset"]) if done else column
    printed = (report.get("paper") or {}).get(values[0] if values else "", {}) or {}
    paper = printed.get(dataset) if isinstance(printed, dict) else None
    return ScoreEntry(
        label,
        column,
        scores.mean if scores else math.nan,
        scores.sd if scores else math.nan,
        cell(group.matrix("ssim")).mean if done else math.nan,
        len(done),
        len(group.runs),
        (float(paper[0]), float(paper[1])) if paper else None,
        *_cost(done[0].record if done else {}),
    )


def _cost(record: dict[str, Any]) -> tuple[float, float]:
    """Parameters and multiply-adds of a run's generator."""
    parameters = record.get("parameters", {}).get("generator")
    work = record.get("multiply_adds")
    return (
        math.nan if parameters is None else float(parameters),
        math.nan if work is None else float(work),
    )


HEADER = (
    "",
    "data",
    "paper PSNR (dB)",
    "ours PSNR (dB)",
    "sd",
    "difference",
    "paper SSIM",
    "ours SSIM",
    "seeds",
    "parameters (M)",
    "multiply-adds (G)",
)


OF_THE_PAPER = ("paper PSNR (dB)", "difference", "paper SSIM")


def lines(table: Sequence[ScoreEntry]) -> list[tuple[str, ...]]:
    """The cells as text; a missing number is a dash, missing seeds show as 2/3."""
    return [
        (
            entry.row,
            entry.column,
            _text(entry.paper[0] if entry.paper else math.nan, 2),
            _text(entry.psnr, 2),
            _text(entry.sd, 2),
            _text(entry.psnr - entry.paper[0] if entry.paper else math.nan, 2, "+"),
            _text(entry.paper[1] if entry.paper else math.nan, 4),
            _text(entry.ssim, 4),
            f"{entry.done}/{entry.asked}",
            _text(entry.parameters / 1e6, 3),
            _text(entry.multiply_adds / 1e9, 2),
        )
        for entry in table
    ]


def _text(value: float, digits: int, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.{digits}f}"


Scores = tuple[float, float]
"""PSNR in dB, and SSIM."""


def overview(table: Sequence[ScoreEntry]) -> Table:
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
            rows.append((f"{method}: paper", *(_both(scores) for scores in printed)))
            differences = [_both(_difference(cell), "+") for cell in cells]
            rows.append((f"{method}: difference", *differences))
    return Table(("PSNR (dB) / SSIM", *columns), rows)


def _ours(entry: ScoreEntry | None) -> str:
    if entry is None:
        return "-"
    missing = "" if entry.done == entry.asked else f" ({entry.done}/{entry.asked})"
    return _both((entry.psnr, entry.ssim)) + missing


def _difference(entry: ScoreEntry | None) -> Scores | None:
    if entry is None or entry.paper is None:
        return None
    return entry.psnr - entry.paper[0], entry.ssim - entry.paper[1]


def _both(scores: Scores | None, sign: str = "") -> str:
    if scores is None or math.isnan(scores[0]):
        return "-"
    return f"{scores[0]:{sign}.2f} / {scores[1]:{sign}.4f}"
