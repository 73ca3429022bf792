"""The table of scores: every cell with its costs, or methods by data sets as in Table II."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.report.kind import ReportKind
from ir_lightning.report.naming import NamedCell
from ir_lightning.report.runs import ReportedMetric, Results

Printed = Mapping[str, Mapping[str, Sequence[float] | None] | None]
"""Scores that the paper prints, in the order of the metrics, by method and data set."""


@dataclass(frozen=True, kw_only=True)
class ScoreTable(ReportKind):
    """A row for each cell, with its costs. A missing number is a dash, missing seeds show as 2/3.

    Args:
        paper: printed scores, which stand beside ours, by the value of the first of ``rows``.
    """

    paper: Printed = field(default_factory=dict)

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        metrics, cells = [results.metric(name) for name in self.metrics], self.cells(results)
        table = pd.DataFrame([self._line(cell, metrics) for cell in cells])
        unused = [] if any(cell.column for cell in cells) else ["data"]
        if not self.paper:
            unused += ["difference", *(f"paper {metric.title}" for metric in metrics)]
        return {"table": table.drop(columns=unused, errors="ignore")}

    def _line(self, cell: NamedCell, metrics: Sequence[ReportedMetric]) -> dict[str, str]:
        printed, done = self.printed(cell), cell.group.finished
        line = {"": cell.row, "data": cell.column}
        for place, metric in enumerate(metrics):
            ours, paper = cell.group.spread(metric.name), printed[place]
            line |= {
                f"paper {metric.title}": metric.text(paper),
                f"ours {metric.title}": metric.text(ours.mean),
            }
            if place == 0:
                line |= {
                    "sd": metric.text(ours.sd),
                    "difference": metric.text(ours.mean - paper, "+"),
                }
        record: dict[str, Any] = done[0].record if done else {}
        parameters = record.get("parameters", {}).get("generator")
        return line | {
            "seeds": f"{len(done)}/{len(cell.group.runs)}",
            "parameters (M)": _scaled(parameters, 1e6, 3),
            "multiply-adds (G)": _scaled(record.get("multiply_adds"), 1e9, 2),
        }

    def printed(self, cell: NamedCell) -> list[float]:
        """What the paper prints of a cell on this very data set, by metric; NaN where nothing."""
        keys = [self.rows] if isinstance(self.rows, str) else self.rows or cell.group.cell
        values = [cell.group.cell[key] for key in keys if key in cell.group.cell]
        done = cell.group.finished
        dataset = str(done[0].record["dataset"]) if done else cell.column
        of_method = self.paper.get(values[0] if values else "") or {}
        scores = of_method.get(dataset) or []
        return [*map(float, scores), *[math.nan] * (len(self.metrics) - len(scores))]


def _scaled(number: float | None, unit: float, digits: int) -> str:
    return "-" if number is None else f"{number / unit:.{digits}f}"


@dataclass(frozen=True, kw_only=True)
class ScoreMatrix(ScoreTable):
    """Methods by data sets, with the paper's scores and the difference below ours.

    Rows stand in the order of ``labels``. Seeds that are missing show in the cell:
    ``25.10 / 0.8012 (1/2)``. Every cell with its costs is a table of its own.
    """

    def __post_init__(self) -> None:
        if self.columns is None or not isinstance(self.rows, str):
            raise UsageError(
                f"a table with columns: {self.columns} needs rows, the key of its methods."
            )

    def cells(self, results: Results) -> list[NamedCell]:
        """What stands in one column side by side, in the order of the labels."""
        cells = super().cells(results)
        columns = list(dict.fromkeys(cell.column for cell in cells))
        methods = [cell.group.cell[str(self.rows)] for cell in cells]
        order = [*self.labels, *methods]
        ranks = [
            (columns.index(cell.column), order.index(method))
            for cell, method in zip(cells, methods, strict=True)
        ]
        return [cells[place] for place in sorted(range(len(cells)), key=ranks.__getitem__)]

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        """The matrix, and every cell.

        Raises:
            UsageError: several cells share row and column.
        """
        cells, metrics = self.cells(results), [results.metric(name) for name in self.metrics]
        for (row, column), count in Counter((cell.row, cell.column) for cell in cells).items():
            if count > 1:
                raise UsageError(
                    f"{results.name}: {count} cells are {row} on {column}; this table shows one of "
                    "each."
                )
        columns = list(dict.fromkeys(cell.column for cell in cells))
        corner = " / ".join(metric.title for metric in metrics)
        rows = []
        for method in dict.fromkeys(cell.row for cell in cells):
            own = {cell.column: cell for cell in cells if cell.row == method}
            lines = {column: self._entries(cell, metrics) for column, cell in own.items()}
            kinds = ("", ": paper", ": difference")
            shown = kinds if any(line[1] != "-" for line in lines.values()) else kinds[:1]
            rows += [
                {corner: f"{method}{kind}"} | {name: line[n] for name, line in lines.items()}
                for n, kind in enumerate(shown)
            ]
        table = pd.DataFrame(rows, columns=[corner, *columns]).fillna("-")
        return {"table": table, "cells": super().tables(results)["table"]}

    def _entries(self, cell: NamedCell, metrics: Sequence[ReportedMetric]) -> tuple[str, str, str]:
        """Ours, the paper's and the difference of one method on one data set."""
        group, paper = cell.group, self.printed(cell)
        ours = [group.spread(metric.name).mean for metric in metrics]
        missing = len(group.runs) - len(group.finished)
        seeds = f" ({len(group.finished)}/{len(group.runs)})" if missing else ""
        differences = [one - other for one, other in zip(ours, paper, strict=True)]
        return (
            _joined(metrics, ours) + seeds,
            _joined(metrics, paper),
            _joined(metrics, differences, "+"),
        )


def _joined(metrics: Sequence[ReportedMetric], values: Sequence[float], sign: str = "") -> str:
    if math.isnan(values[0]):
        return "-"
    return " / ".join(m.text(value, sign) for m, value in zip(metrics, values, strict=True))
