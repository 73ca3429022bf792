"""A table once, in Markdown, CSV and LaTeX: paper, ours, difference, seeds."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ir_lightning.report.collect import Group, Results
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
)


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
        )
        for entry in table
    ]


def _text(value: float, digits: int, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.{digits}f}"


def markdown(table: Sequence[Entry]) -> str:
    """A GitHub table."""
    rows = [HEADER, ("---",) * len(HEADER), *lines(table)]
    return "".join(
        f"| {' | '.join(text.replace('|', chr(92) + '|') for text in row)} |\n" for row in rows
    )


def comma_separated(table: Sequence[Entry]) -> str:
    """CSV with a header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *lines(table)])
    return text.getvalue()


def latex(table: Sequence[Entry]) -> str:
    """A booktabs tabular."""
    escapes = str.maketrans({c: "\\" + c for c in "&%$#_{}"})
    rows = [" & ".join(text.translate(escapes) for text in row) + r" \\" for row in lines(table)]
    head = " & ".join(HEADER) + r" \\"
    columns = "ll" + "r" * (len(HEADER) - 2)
    begin, end = rf"\begin{{tabular}}{{{columns}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", head, r"\midrule", *rows, r"\bottomrule", end, ""])
