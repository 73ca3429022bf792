"""Curves and bars of scores, with the spread between seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.report.content import Figure, NamedCell, ReportKind
from ir_lightning.report.figures.drawing import COLOURS, MARKERS, pyplot, save
from ir_lightning.report.runs import Results


@dataclass(frozen=True, kw_only=True)
class LineFigure(Figure):
    """Curves of scores over a key whose values are numbers: a row of panels for each metric.

    Each point is the mean over test images and seeds, the band one standard deviation between
    seeds. The report's ``columns`` stand side by side.
    """

    x: str  #: Key of cells whose values stand along the axis.
    x_label: str | None = None  #: What the axis is called; None: as the key.
    series: str | None = None  #: Key of cells whose values are drawn in colours.

    def draw(self, results: Results, report: ReportKind) -> list[Path]:
        panels = results.values(report.columns) if report.columns else [""]
        series = results.values(self.series) if self.series else [""]
        cells = report.cells(results)
        rows, columns = len(report.metrics), len(panels)
        size = (1.5 + 3.6 * columns, 3.0 * rows)
        figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, sharex="col")
        for column, panel in enumerate(panels):
            for axis, name in zip(axes[:, column], report.metrics, strict=True):
                for number, value in enumerate(series):
                    keys = ((report.columns, panel), (self.series, value))
                    part = {key: value for key, value in keys if key}.items()
                    own = [cell for cell in cells if part <= cell.group.cell.items()]
                    if len(points := self.points(own, name)):
                        self.plot(axis, points, number, value)
                axis.set_ylabel(results.metric(name).title)
                axis.grid(alpha=0.3)
            axes[0][column].set_title(panel)
            axes[-1][column].set_xlabel(self.x_label or self.x)
            self.set_ticks(axes[-1][column], results)
        if self.series:
            axes[0][0].legend(title=self.series)
        title = f"{results.title}\nbudget={results.budget}: mean and sd over seeds"
        figure.suptitle(title, fontsize=9)
        figure.tight_layout()
        return save(figure, results.folder)

    def points(self, cells: Sequence[NamedCell], metric: str) -> pd.DataFrame:
        """``x``, ``mean`` and ``sd`` of the cells that have scores, as they stand in the figure."""
        rows = []
        for cell in cells:
            done = cell.group.finished
            seeds = [run.mean(metric) for run in done if metric in run.scores]
            if seeds:
                spread = np.std(seeds, ddof=1) if len(seeds) > 1 else 0.0
                rows.append((self.place(cell), np.mean(seeds), spread))
        return pd.DataFrame(rows, columns=["x", "mean", "sd"])

    def place(self, cell: NamedCell) -> str:
        """Where a cell stands along the axis."""
        return cell.group.cell.get(self.x, "none")

    def plot(self, axis: Any, points: pd.DataFrame, number: int, label: str) -> None:
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        x, mean, sd = self.levels(points["x"]), points["mean"], points["sd"]
        axis.plot(x, mean, color=colour, marker=marker, label=label)
        axis.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.2)

    def set_ticks(self, axis: Any, results: Results) -> None:
        """Mark the levels, not values between them."""
        axis.set_xticks(sorted(self.levels(results.values(self.x))))

    def levels(self, values: Iterable[str]) -> list[float]:
        """Values along the axis as numbers; UsageError if one is none."""
        try:
            return [float(value) for value in values]
        except ValueError:
            raise UsageError(f"A LineFigure's x is a number, and {self.x} is not.") from None


@dataclass(frozen=True, kw_only=True)
class BarFigure(LineFigure):
    """Bars of scores, one for each cell of a panel, with one standard deviation between seeds."""

    x: str = ""  #: Key of cells by whose values the bars are named; empty: as the table's rows.

    def place(self, cell: NamedCell) -> str:
        return super().place(cell) if self.x else cell.label

    def plot(self, axis: Any, points: pd.DataFrame, number: int, label: str) -> None:
        mean, sd, places = points["mean"], points["sd"], np.arange(len(points))
        colour = COLOURS[number % len(COLOURS)]
        axis.bar(places, mean, yerr=sd, color=colour, capsize=2, label=label)
        axis.set_xticks(places, points["x"], rotation=60, ha="right", fontsize=7)
        axis.set_ylim(min(mean - sd) - 0.1 * np.ptp(mean) - 1e-3)

    def set_ticks(self, axis: Any, results: Results) -> None:
        """Nothing: the bars have set theirs."""
