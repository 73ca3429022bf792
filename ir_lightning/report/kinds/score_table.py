"""Tables of scores: every cell with its costs, methods by data sets, levels by tasks (Table I)."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.report.claims import ALPHA
from ir_lightning.report.content import NamedCell, ReportKind, cell_name
from ir_lightning.report.runs import NotMeasuredError, ReportedMetric, Results
from ir_lightning.report.trends import SaturatesAt
from ir_lightning.statistics.saturation import Saturation

Printed = Mapping[str, Mapping[str, Sequence[float] | None] | None]
"""Scores that the paper prints, in the order of the metrics, by method and data set."""


@dataclass(frozen=True, kw_only=True)
class ScoreTable(ReportKind):
    """A row for each cell, with its costs; a missing number is a dash, and seeds show as 2/3."""

    paper: Printed = field(default_factory=dict)  #: By the value of the first of ``rows``.

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
        for place, (metric, paper) in enumerate(zip(metrics, printed, strict=False)):
            ours = cell.group.spread(metric.name)
            line[f"paper {metric.title}"] = metric.text(paper)
            line[f"ours {metric.title}"] = metric.text(ours.mean)
            if place == 0:
                line["sd"] = metric.text(ours.sd)
                line["difference"] = metric.text(ours.mean - paper, "+")
        record: dict[str, Any] = done[0].record if done else {}
        return line | {
            "seeds": cell.group.seeds,
            "parameters (M)": _scaled(record.get("parameters", {}).get("generator"), 1e6, 3),
            "multiply-adds (G)": _scaled(record.get("multiply_adds"), 1e9, 2),
        }

    def printed(self, cell: NamedCell) -> list[float]:
        """What the paper prints of a cell on this very data set, by metric; NaN where nothing."""
        keys = [self.rows] if isinstance(self.rows, str) else self.rows or cell.group.cell
        values = [cell.group.cell[key] for key in keys if key in cell.group.cell]
        of_method = self.paper.get(values[0] if values else "") or {}
        scores = of_method.get(cell.group.trained_on or cell.column) or []
        return [*map(float, scores), *[math.nan] * (len(self.metrics) - len(scores))]


def _scaled(number: float | None, unit: float, digits: int) -> str:
    return "-" if number is None else f"{number / unit:.{digits}f}"


@dataclass(frozen=True, kw_only=True)
class ScoreMatrix(ScoreTable):
    """Methods by data sets, with the paper's scores and the difference below ours.

    Rows stand in the order of ``labels``; missing seeds show as ``25.10 / 0.8012 (1/2)``.
    """

    def __post_init__(self) -> None:
        if self.columns is None or not isinstance(self.rows, str):
            needs = "rows, the key of its methods."
            raise UsageError(f"a table with columns: {self.columns} needs {needs}")

    def cells(self, results: Results) -> list[NamedCell]:
        """What stands in one column side by side, in the order of the labels."""
        cells = super().cells(results)
        columns = list(dict.fromkeys(cell.column for cell in cells))
        order = [*self.labels, *(cell.group.cell[str(self.rows)] for cell in cells)]

        def rank(cell: NamedCell) -> tuple[int, int]:
            return columns.index(cell.column), order.index(cell.group.cell[str(self.rows)])

        return sorted(cells, key=rank)

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        """The matrix, and every cell; UsageError where several cells share row and column."""
        cells, metrics = self.cells(results), [results.metric(name) for name in self.metrics]
        for (row, column), count in Counter((cell.row, cell.column) for cell in cells).items():
            if count > 1:
                shared = f"{count} cells are {row} on {column}"
                raise UsageError(f"{results.name}: {shared}; this table shows one of each.")
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
        seeds = f" ({group.seeds})" if len(group.finished) < len(group.runs) else ""
        difference = _joined(metrics, [a - b for a, b in zip(ours, paper, strict=True)], "+")
        return _joined(metrics, ours) + seeds, _joined(metrics, paper), difference


def _joined(metrics: Sequence[ReportedMetric], values: Sequence[float], sign: str = "") -> str:
    if math.isnan(values[0]):
        return "-"
    return " / ".join(m.text(value, sign) for m, value in zip(metrics, values, strict=True))


@dataclass(frozen=True, kw_only=True)
class SaturationTable(ReportKind):
    """A row for each value of the key ``rows``, judged by the experiment's only claim."""

    rows: str = field()

    def __post_init__(self) -> None:
        if len(self.claims) != 1 or not isinstance(self.claims[0], SaturatesAt):
            raise UsageError("a SaturationTable needs one claim, which is a SaturatesAt.")

    @property
    def claim(self) -> SaturatesAt:
        (claim,) = self.claims
        assert isinstance(claim, SaturatesAt)
        return claim

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        """A row for each task, and every level of each in a table of its own."""
        table = pd.DataFrame([self._line(results, task) for task in results.values(self.rows)])
        keys = [self.rows, self.claim.over]
        levels = ScoreTable(rows=keys, labels=self.labels, metrics=self.metrics)
        return {"table": table, "cells": levels.tables(results)["table"]}

    def _line(self, results: Results, task: str) -> dict[str, str]:
        expected, metric = self.claim.expected_at(task), results.metric(self.claim.metric)
        groups = results.where({self.rows: task})
        unit = f" ({metric.unit})" if metric.unit else ""
        ours = mean = depth = error = needs = "-"
        try:
            share = ALPHA / len(results.values(self.rows))  # as the claim is judged
            found = self.claim.saturation(results, task, share)
            best, at = max(zip(found.means, found.depths, strict=True), key=lambda pair: pair[0])
            ours, mean, depth = levels(found), metric.text(metric.sign * best), str(at)
            error, needs = metric.text(found.standard_error), needed(found)
        except NotMeasuredError:
            pass
        return {
            "": cell_name({self.rows: task}, [self.rows], self.labels),
            "levels, paper": f"{expected[0]} to {expected[1]}" if expected else "-",
            "levels, ours": ours,
            f"{'highest' if metric.higher_is_better else 'lowest'} mean{unit}": mean,
            "at": depth,
            f"largest SE of a difference{unit}": error,
            "runs": f"{sum(len(g.finished) for g in groups)}/{sum(len(g.runs) for g in groups)}",
            "would take": needs,
        }


def levels(found: Saturation) -> str:
    """N saturated in a few words: ``4``, ``3 to 5``, or what is known where it is unresolved."""
    if not found.resolved:
        return "unresolved" if found.lower in (None, found.depths[0]) else f"{found.lower} or more"
    return f"{found.upper}" if found.lower == found.upper else f"{found.lower} to {found.upper}"


def needed(found: Saturation) -> str:
    if found.resolved:
        return "-"
    if found.scenes_needed:
        return f"{found.scenes_needed} scenes"
    return f"{found.seeds_needed} seeds" if found.seeds_needed else "-"
