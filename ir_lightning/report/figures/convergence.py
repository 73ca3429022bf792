"""Fig. 7 drawn: the losses with their fits, and the balance of D and G along the training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ir_lightning.report.content import Figure, ReportKind
from ir_lightning.report.figures.drawing import COLOURS, pyplot, save
from ir_lightning.report.kinds.convergence import LOSS, SCORE, Convergence, convergence, curve_of
from ir_lightning.report.runs import Results
from ir_lightning.statistics.decays import binned

BALANCE = {
    "balance/bits": "J_D on held-out windows (bits)",
    "balance/g_adversarial": "gradient at G's output, through D",
    "ratio": "r = adversarial / pixel gradient",
    SCORE: "validation PSNR (dB)",
}


class ConvergenceFigure(Figure):
    """Above, for each training the loss of its first seed in log-spaced bins, with fits.

    Below, the balance of all trainings: means over seeds, with one standard deviation.
    """

    def draw(self, results: Results, report: ReportKind) -> list[Path]:
        cells = report.cells(results)
        runs = {cell.row: [*map(convergence, cell.group.finished)] for cell in cells}
        columns = max(len(runs), len(BALANCE))
        figure, axes = pyplot.subplots(2, columns, figsize=(3.6 * columns, 6.6), squeeze=False)
        for axis, (name, measured) in zip(axes[0], runs.items(), strict=False):
            _loss(axis, name, measured)
        for axis, (column, label) in zip(axes[1], BALANCE.items(), strict=False):
            for number, (name, measured) in enumerate(runs.items()):
                _band(axis, [_values(run, column) for run in measured], number, name)
            axis.set_xlabel("iteration")
            axis.set_ylabel(label)
            axis.grid(alpha=0.3)
        bits = axes[1][0]
        bits.axhline(0.9, color="grey", linewidth=0.8, linestyle="--")
        bits.text(0.02, 0.905, "saturated", fontsize=7, transform=bits.get_yaxis_transform())
        for axis in axes[1][1:3]:
            if axis.lines:
                axis.set_yscale("log")
        for axis in [*axes[0][len(runs) :], *axes[1][len(BALANCE) :]]:
            axis.remove()
        axes[1][len(BALANCE) - 1].legend(fontsize=7, loc="lower right")
        budget = f"budget={results.budget}; below: mean and sd over seeds"
        figure.suptitle(f"{results.title}\n{budget}", fontsize=10)
        figure.tight_layout()
        return save(figure, results.folder)


def _loss(axis: Any, name: str, measured: Sequence[Convergence]) -> None:
    axis.set_title(name, fontsize=9)
    axis.set_xlabel("iteration")
    axis.set_ylabel("generator's loss")
    first = next((run for run in measured if run.stages), None)
    if first is None or first.stages is None:
        axis.text(0.5, 0.5, "too few records", ha="center", transform=axis.transAxes)
        return
    bins = binned(*curve_of(first.curves, LOSS))
    axis.plot(bins.iterations, bins.values, ".", color="grey", markersize=3)
    models = dict.fromkeys(["exp1", "exp2", first.stages.best])
    for style, model in zip(("--", "-", ":"), models, strict=False):
        fit = first.stages.fits[model]
        label = f"{model}, BIC {fit.bic:.0f}{' (best)' if model == first.stages.best else ''}"
        axis.plot(bins.iterations, fit(bins.iterations), style, color="black", label=label)
    axis.set_xscale("log")
    axis.legend(fontsize=7)
    axis.grid(alpha=0.3)


def _values(run: Convergence, column: str) -> "pd.Series[float]":
    """A column of the curve, or the ratio of two; empty where the curve has none."""
    if column == "ratio":
        through, pixels = (_values(run, f"balance/{g}") for g in ("g_adversarial", "g_pixel"))
        return through / pixels
    return run.curves.get(column, pd.Series(dtype=np.float64)).dropna()


def _band(axis: Any, curves: Sequence["pd.Series[float]"], number: int, label: str) -> None:
    if known := [curve for curve in curves if len(curve)]:
        seeds, colour = pd.concat(known, axis=1), COLOURS[number % len(COLOURS)]
        mean, spread = seeds.mean(axis=1), seeds.std(axis=1, ddof=1).fillna(0)
        axis.plot(mean.index, mean, color=colour, label=label)
        axis.fill_between(mean.index, mean - spread, mean + spread, color=colour, alpha=0.2)
