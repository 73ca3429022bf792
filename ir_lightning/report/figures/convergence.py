"""Fig. 7 drawn: the losses with their fits, and the balance of D and G along the training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ir_lightning.report.content import Figure, ReportKind
from ir_lightning.report.figures.drawing import COLOURS, pyplot, save
from ir_lightning.report.kinds.convergence import LOSS, SCORE, Convergence, convergence
from ir_lightning.report.runs import Results

BATCHES = "train/generator"
BALANCE = {
    "balance/bits": "J_D on held-out windows (bits)",
    "discriminator/chance": "D's held-out loss / chance",
    "balance/adversarial": "G's held-out adversarial loss",
    "balance/g_adversarial": "gradient at G's output, through D",
    "g_adversarial/g_pixel": "r = adversarial / pixel gradient",
    SCORE: "validation PSNR (dB)",
}
QUOTIENTS = ("discriminator/chance", "g_adversarial/g_pixel")
LINEAR = ("balance/bits", SCORE)


class ConvergenceFigure(Figure):
    """First, for each training the held-out loss of its first seed with fits, on that of batches.

    Then the balance of all trainings: means over seeds, with one standard deviation, of logarithms
    where the axis is one.
    """

    def draw(self, results: Results, report: ReportKind) -> list[Path]:
        cells = report.cells(results)
        runs = {cell.row: [*map(convergence, cell.group.finished)] for cell in cells}
        columns = -(-(len(runs) + len(BALANCE)) // 2)
        figure, axes = pyplot.subplots(2, columns, figsize=(3.6 * columns, 6.6))
        panels = iter(axes.flat)
        for (name, measured), axis in zip(runs.items(), panels, strict=False):
            _loss(axis, name, measured)
        for (column, label), axis in zip(BALANCE.items(), panels, strict=False):
            for number, (name, measured) in enumerate(runs.items()):
                curves = [_values(run, column) for run in measured]
                _band(axis, curves, number, name, log=column not in LINEAR)
            axis.set_xlabel("iteration")
            axis.set_ylabel(label)
            axis.grid(alpha=0.3)
        for axis in panels:
            axis.remove()
        bits, *_, score = axes.flat[len(runs) : len(runs) + len(BALANCE)]
        bits.axhline(0.9, color="grey", linewidth=0.8, linestyle="--")
        bits.text(0.02, 0.905, "saturated", fontsize=7, transform=bits.get_yaxis_transform())
        score.legend(fontsize=7, loc="lower right")
        budget = f"budget={results.budget}; losses of the first seed, else mean and sd over seeds"
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
    batches, held_out = _values(first, BATCHES), _values(first, LOSS)
    axis.plot(batches.index, batches, color="lightgrey", linewidth=0.7, label="of batches")
    axis.plot(held_out.index, held_out, ".", color=COLOURS[0], markersize=3, label="held out")
    models = dict.fromkeys(["exp1", "exp2", first.stages.best])
    for style, model in zip(("--", "-", ":"), models, strict=False):
        fit = first.stages.fits[model]
        label = f"{model}, BIC {fit.bic:.0f}{' (best)' if model == first.stages.best else ''}"
        axis.plot(held_out.index, fit(held_out.index), style, color="black", label=label)
    axis.set_xscale("log")
    axis.legend(fontsize=7)
    axis.grid(alpha=0.3)


def _values(run: Convergence, column: str) -> "pd.Series[float]":
    """A column of the curve, or the quotient a/b of two that the callback ``balance`` has written.

    Empty where the curve has none.
    """
    if column in QUOTIENTS:
        above, below = (_values(run, f"balance/{part}") for part in column.split("/"))
        return above / below
    return run.curves.get(column, pd.Series(dtype=np.float64)).dropna()


def _band(
    axis: Any, curves: Sequence["pd.Series[float]"], number: int, label: str, log: bool
) -> None:
    if known := [curve for curve in curves if len(curve)]:
        seeds, colour = pd.concat(known, axis=1), COLOURS[number % len(COLOURS)]
        if log:
            axis.set_yscale("log")
            seeds = seeds.where(seeds > 0).apply(np.log)
        mean, spread = seeds.mean(axis=1), seeds.std(axis=1, ddof=1).fillna(0)
        low, middle, high = (np.exp(x) if log else x for x in (mean - spread, mean, mean + spread))
        axis.plot(mean.index, middle, color=colour, label=label)
        axis.fill_between(mean.index, low, high, color=colour, alpha=0.2)
