"""The table of scores: paper, ours, difference, seeds, and what the generator costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ir_lightning.report.collect import Group, Results
from ir_lightning.report.content import Table
from ir_lightning.statistics.comparison import cell


@dataclass(frozen=True)
class Entry:
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


def entries(results: Results) -> list[Entry]:
    """The cells of an experiment's table, in its order."""
    return [_entry(results.report, group) for group in results.groups]


def _entry(report: dict[str, Any], group: Group) -> Entry:
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
    return Entry(
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


def lines(table: Sequence[Entry]) -> list[tuple[str, ...]]:
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
