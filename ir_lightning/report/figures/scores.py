"""Curves and bars of scores, with the spread between seeds."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ir_lightning.report.figures.drawing import COLOURS, MARKERS, pyplot, save
from ir_lightning.report.kind import Figure, Report
from ir_lightning.report.runs import Array, CellRuns, NotMeasuredError, Results, number_of


@dataclass(frozen=True, kw_only=True)
class ScoreFigure(Figure):
    """Base of the figures of scores: a row of panels for each metric of the report.

    Each point is the mean over test images and seeds, with one standard deviation between seeds;
    cells without a finished run are left out. The report's ``columns`` stand side by side.

    Args:
        x: key of cells whose values stand along the axis.
        x_label: what the axis is called; None: as the key.
        series: key of cells whose values are drawn in colours; None: there is one series.
    """

    x: str
    x_label: str | None = None
    series: str | None = None

    def draw(self, results: Results, report: Report) -> list[Path]:
        panels = results.values(report.columns) if report.columns else [""]
        lines = results.values(self.series) if self.series else [""]
        metrics = [*map(results.metric, report.metrics)]
        figure, axes = pyplot.subplots(
            len(metrics),
            len(panels),
            figsize=(1.5 + 3.6 * len(panels), 3.0 * len(metrics)),
            squeeze=False,
            sharex="col",
        )
        for column, panel in enumerate(panels):
            for row, metric in enumerate(metrics):
                axis = axes[row][column]
                for number, series in enumerate(lines):
                    keys = ((report.columns, panel), (self.series, series))
                    groups = results.where({key: value for key, value in keys if key})
                    self._series(axis, groups, metric.name, number, series)
                axis.set_ylabel(metric.title)
                axis.grid(alpha=0.3)
            axes[0][column].set_title(panel)
            axes[-1][column].set_xlabel(self.x_label or self.x)
            self.finish(axes[-1][column], results)
        if self.series:
            axes[0][0].legend(title=self.series)
        budget = f"budget={results.budget}: mean and sd over seeds"
        figure.suptitle(f"{results.title}\n{budget}", fontsize=9)
        figure.tight_layout()
        return save(figure, results.folder)

    def _series(
        self, axis: Any, groups: Sequence[CellRuns], metric: str, number: int, label: str
    ) -> None:
        drawn, means, spread = [], [], []
        for group in groups:
            try:
                seeds = [run.mean(metric) for run in group.finished]
            except NotMeasuredError:
                continue
            if seeds:
                drawn.append(group)
                means.append(np.mean(seeds))
                spread.append(np.std(seeds, ddof=1) if len(seeds) > 1 else 0.0)
        if drawn:
            self.plot(axis, drawn, np.array(means), np.array(spread), number, label)

    @abstractmethod
    def plot(
        self,
        axis: Any,
        groups: list[CellRuns],
        means: Array,
        spread: Array,
        number: int,
        label: str,
    ) -> None:
        """Draw one series.

        Args:
            axis: matplotlib's.
            groups: N cells.
            means, spread: (N,) scores, and their standard deviations between seeds.
            number: which series it is.
            label: its value; empty if there is one series.
        """

    def finish(self, axis: Any, results: Results) -> None:
        """Set the ticks of a column of panels."""


@dataclass(frozen=True, kw_only=True)
class LineFigure(ScoreFigure):
    """Curves over a key whose values are numbers, with bands."""

    def plot(
        self,
        axis: Any,
        groups: list[CellRuns],
        means: Array,
        spread: Array,
        number: int,
        label: str,
    ) -> None:
        x = np.array([number_of(group, self.x) for group in groups])
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axis.plot(x, means, color=colour, marker=marker, label=label)
        axis.fill_between(x, means - spread, means + spread, color=colour, alpha=0.2)

    def finish(self, axis: Any, results: Results) -> None:
        """The levels, not values between them."""
        axis.set_xticks(sorted(map(float, results.values(self.x))))


@dataclass(frozen=True, kw_only=True)
class BarFigure(ScoreFigure):
    """Bars for the values of a key."""

    def plot(
        self,
        axis: Any,
        groups: list[CellRuns],
        means: Array,
        spread: Array,
        number: int,
        label: str,
    ) -> None:
        names = [group.cell.get(self.x, "none") for group in groups]
        places = np.arange(len(names))
        axis.bar(places, means, yerr=spread, color=COLOURS[number % len(COLOURS)], capsize=2)
        axis.set_xticks(places, names, rotation=60, ha="right", fontsize=7)
        axis.set_ylim(min(means - spread) - 0.1 * np.ptp(means) - 1e-3)
