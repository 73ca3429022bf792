"""The table of Fig. 7: how trainings converge, and the balance of discriminator and generator."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ir_lightning.report.kind import ReportKind
from ir_lightning.report.kinds.convergence import Convergence, convergence
from ir_lightning.report.naming import NamedCell
from ir_lightning.report.runs import Results
from ir_lightning.statistics.imbalance import Time

LEGEND = (
    "Taus and times in iterations; medians over seeds. A time with > was not reached; D is "
    "saturated at 0.9 bits, G converged at 90 % of its gain in validation PSNR. nu and r: how "
    "the gradient that reaches G through D falls, and what it is beside that of the pixels."
)


@dataclass(frozen=True, kw_only=True)
class ConvergenceTable(ReportKind):
    """A row for each training, with the measurements of its curves over seeds."""

    metrics: Sequence[str] = ("psnr",)

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        return {"table": pd.DataFrame([self._line(cell, results) for cell in self.cells(results)])}

    def notes(self, results: Results) -> list[str]:
        """The legend, and what the curves do not allow to say."""
        missing = [
            f"- {cell.row}: {reason}"
            for cell in self.cells(results)
            for run in cell.group.finished
            for reason in convergence(run).missing
        ]
        return [*super().notes(results), LEGEND, *dict.fromkeys(missing)]

    def _line(self, cell: NamedCell, results: Results) -> dict[str, str]:
        measured = [convergence(run) for run in cell.group.finished]
        fits = [each.stages for each in measured if each.stages]
        balances = [each.imbalance for each in measured if each.imbalance]
        gradients = [each.vanishing for each in measured if each.vanishing]
        line = {
            "training": cell.row,
            "curves in two stages": f"{sum(f.two_stage for f in fits)}/{len(fits)}"
            if fits
            else "-",
            "best fit": _most([fit.best for fit in fits]),
            "tau fast": _median([fit.taus[0] for fit in fits], ".3g"),
            "tau slow": _median([fit.taus[1] for fit in fits], ".3g"),
            **_times([each for each in measured if each.saturated and each.gained]),
            "B = log2(t_90 / t_sat)": "; ".join(map(str, balances)) or "-",
            "nu": _median([each.index for each in gradients], ".2f"),
            "r": _median([each.ratio for each in gradients], ".2g"),
        }
        for place, metric in enumerate(map(results.metric, self.metrics)):
            spread = cell.group.spread(metric.name)
            line[metric.title] = metric.text(spread.mean)
            if place == 0:
                line["sd"] = metric.text(spread.sd)
        return line | {"seeds": f"{len(cell.group.finished)}/{len(cell.group.runs)}"}


def _times(measured: Sequence[Convergence]) -> dict[str, str]:
    """Of the runs whose times could be measured."""
    return {
        "J_D (bits)": _median([each.bits for each in measured], ".2f"),
        "AUC": _median([each.auc for each in measured], ".3f"),
        "t_sat(D)": _middle([each.saturated for each in measured]),
        "t_90(G)": _middle([each.gained for each in measured]),
    }


def _median(values: Sequence[float], form: str) -> str:
    return format(float(np.median(values)), form) if values else "-"


def _most(names: Sequence[str]) -> str:
    """Each name with its number, the most frequent first."""
    counted = sorted(set(names), key=lambda name: (-names.count(name), name))
    return ", ".join(f"{name} ({names.count(name)})" for name in counted) or "-"


def _middle(times: Sequence[Time | None]) -> str:
    """The median of times, of which those that were not reached are the latest."""
    known = sorted(
        (time for time in times if time), key=lambda time: (time.censored, time.iteration)
    )
    if not known:
        return "-"
    middle = known[len(known) // 2]
    return f"{'> ' if middle.censored else ''}{middle.iteration:.0f}"
