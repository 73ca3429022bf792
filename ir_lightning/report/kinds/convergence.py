"""How trainings converge, from ``metrics.csv``: the measurements, claims and table of Fig. 7."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ir_lightning.errors import UsageError
from ir_lightning.report.claims import UNDECIDED, Part, ReportClaim, Verdict
from ir_lightning.report.content import NamedCell, ReportKind
from ir_lightning.report.runs import NotMeasuredError, Results, Run, read_curves
from ir_lightning.statistics.effects import Array
from ir_lightning.statistics.imbalance import (
    Imbalance,
    Time,
    Vanishing,
    imbalance,
    t_gained,
    t_saturated,
    vanishing,
)
from ir_lightning.statistics.stages import FEWEST_SEEDS, Stages, over_seeds, stages

LOSS = "train/generator"
SCORE = "val/psnr"
LEGEND = (
    "Taus and times in iterations; medians over seeds. A time with > was not reached; D is "
    "saturated at 0.9 bits, G converged at 90 % of its gain in validation PSNR. nu and r: how "
    "the gradient that reaches G through D falls, and what it is beside that of the pixels."
)


def curve_of(curves: pd.DataFrame, name: str, first: float = 0) -> tuple[Array, Array]:
    """(N,) iterations and (N,) values of a column, from an iteration on; UsageError without it."""
    column = curves[name].dropna() if name in curves else ()
    if not len(column):
        raise UsageError(f"its curve has no {name}")
    iterations, values = np.asarray(column.index, dtype=np.float64), np.asarray(column)
    return iterations[iterations >= first], values[iterations >= first]


@dataclass
class Convergence:
    """What one run's curve says; what it does not allow to say is None, with the reason."""

    curves: pd.DataFrame  #: ``metrics.csv``.
    stages: Stages | None = None
    saturated: Time | None = None  #: t_sat(D).
    gained: Time | None = None  #: t_90(G).
    imbalance: Imbalance | None = None
    vanishing: Vanishing | None = None
    bits: float = np.nan  #: J_D at the last check.
    auc: float = np.nan
    missing: list[str] = field(default_factory=list)


@lru_cache(maxsize=512)
def convergence(run: Run) -> Convergence:
    """Measure one finished run. The bootstrap's random numbers are always the same."""
    curves = read_curves(run.directory)
    found = Convergence(curves)
    try:
        found.stages = stages(*curve_of(curves, LOSS))
    except UsageError as error:
        found.missing.append(str(error))
    try:
        names = ("balance/g_adversarial", "balance/g_pixel")
        found.vanishing = vanishing(*(curve_of(curves, name, 1)[1] for name in names))
    except UsageError as error:
        found.missing.append(str(error))
    try:
        d = t_saturated(*curve_of(curves, "balance/low", 1))
        g = t_gained(*curve_of(curves, SCORE, 1))
        ends = (curve_of(curves, f"balance/{name}")[1][-1] for name in ("bits", "auc"))
        found.bits, found.auc = map(float, ends)
        found.saturated, found.gained, found.imbalance = d, g, imbalance(g, d)
    except UsageError as error:
        found.missing.append(str(error))
    return found


@dataclass(frozen=True, kw_only=True)
class CurveClaim(ReportClaim):
    """Base of the claims about the training curves of the cell ``where``."""

    where: Part

    def verdict_within(self, results: Results, place: str, alpha: float) -> Verdict:
        runs = self.one(results, self.where, place).finished
        if not runs:
            raise NotMeasuredError("no run has finished")
        return self.over_seeds([convergence(run) for run in runs], alpha)

    @abstractmethod
    def over_seeds(self, runs: Sequence[Convergence], alpha: float) -> Verdict:
        """What the curves of at least one seed say."""


class TwoStages(CurveClaim):
    """The loss falls in two stages, by the rule of :mod:`ir_lightning.statistics.stages`."""

    sampled: ClassVar[bool] = False  #: The rule asks three seeds to agree, and has no one error.

    def over_seeds(self, runs: Sequence[Convergence], alpha: float) -> Verdict:
        fits = [run.stages for run in runs if run.stages]
        if not fits:
            return UNDECIDED, runs[0].missing[0]
        agreed = over_seeds(fits)
        verdicts = {"two-stage": "supported", "not two-stage": "not supported"}
        reason = f"{agreed} Seed by seed: {' '.join(map(str, fits))}"
        return verdicts.get(agreed.verdict, UNDECIDED), reason


class DiscriminatorAhead(CurveClaim):
    """The discriminator saturates before the generator has converged: B > 0, by a t interval.

    A censored time leaves a bound on B; one from below can only support the claim, one from above
    only refute it.
    """

    def over_seeds(self, runs: Sequence[Convergence], alpha: float) -> Verdict:
        measured = [run.imbalance for run in runs if run.imbalance]
        reason = "B = " + "; ".join(map(str, measured))
        known = [balance for balance in measured if balance.bound != "unknown"]
        if len(known) < FEWEST_SEEDS or len(known) < len(runs):
            return UNDECIDED, f"{reason} ({FEWEST_SEEDS} seeds with a known B are needed)"
        values = np.array([balance.value for balance in known])
        error = values.std(ddof=1) / np.sqrt(len(values)) * stdtrit(len(values) - 1, 1 - alpha)
        low, high = values.mean() - error, values.mean() + error
        reason += f"; mean {values.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
        bounds = {balance.bound for balance in known}
        if low > 0 and bounds <= {"equal", "at least"}:
            return "supported", reason
        if high < 0 and bounds <= {"equal", "at most"}:
            return "not supported", reason
        return UNDECIDED, reason


class GradientVanishes(CurveClaim):
    """The gradient that reaches the generator through the discriminator vanishes.

    Supported if it does in each of at least three seeds, refuted if it does in none.
    """

    sampled: ClassVar[bool] = False  #: As that of :class:`TwoStages`.

    def over_seeds(self, runs: Sequence[Convergence], alpha: float) -> Verdict:
        known = [run.vanishing for run in runs if run.vanishing]
        if not known:
            return UNDECIDED, runs[0].missing[-1]
        gone = [each.verdict == "vanishing" for each in known]
        reason = "; ".join(map(str, known))
        if len(known) < FEWEST_SEEDS:
            return UNDECIDED, f"{reason} ({FEWEST_SEEDS} seeds are needed)"
        return "supported" if all(gone) else UNDECIDED if any(gone) else "not supported", reason


@dataclass(frozen=True, kw_only=True)
class ConvergenceTable(ReportKind):
    """A row for each training, with the measurements of its curves over seeds."""

    metrics: Sequence[str] = ("psnr",)

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        return {"table": pd.DataFrame([self._line(cell, results) for cell in self.cells(results)])}

    def notes(self, results: Results) -> list[str]:
        runs = [(cell.row, run) for cell in self.cells(results) for run in cell.group.finished]
        missing = [f"- {row}: {why}" for row, run in runs for why in convergence(run).missing]
        return [*super().notes(results), LEGEND, *dict.fromkeys(missing)]

    def _line(self, cell: NamedCell, results: Results) -> dict[str, str]:
        measured = [convergence(run) for run in cell.group.finished]
        fits = [each.stages for each in measured if each.stages]
        two = [fit.two_stage for fit in fits]
        balances = [each.imbalance for each in measured if each.imbalance]
        gradients = [each.vanishing for each in measured if each.vanishing]
        timed = [each for each in measured if each.imbalance]
        line = {
            "training": cell.row,
            "curves in two stages": f"{sum(two)}/{len(two)}" if two else "-",
            "best fit": _most([fit.best for fit in fits]),
            "tau fast": _median([fit.taus[0] for fit in fits], ".3g"),
            "tau slow": _median([fit.taus[1] for fit in fits], ".3g"),
            "J_D (bits)": _median([each.bits for each in timed], ".2f"),
            "AUC": _median([each.auc for each in timed], ".3f"),
            "t_sat(D)": _middle([each.saturated for each in timed]),
            "t_90(G)": _middle([each.gained for each in timed]),
            "B = log2(t_90 / t_sat)": "; ".join(map(str, balances)) or "-",
            "nu": _median([each.index for each in gradients], ".2f"),
            "r": _median([each.ratio for each in gradients], ".2g"),
        }
        for place, metric in enumerate(map(results.metric, self.metrics)):
            spread = cell.group.spread(metric.name)
            line[metric.title] = metric.text(spread.mean)
            if place == 0:
                line["sd"] = metric.text(spread.sd)
        return line | {"seeds": cell.group.seeds}


def _median(values: Sequence[float], form: str) -> str:
    return format(float(np.median(values)), form) if values else "-"


def _most(names: Sequence[str]) -> str:
    counted = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} ({count})" for name, count in counted) or "-"


def _middle(times: Sequence[Time | None]) -> str:
    """The median of times, of which those that were not reached are the latest."""
    known = sorted((time for time in times if time), key=lambda time: time[::-1])
    if not known:
        return "-"
    middle = known[len(known) // 2]
    return f"{'> ' if middle.censored else ''}{middle.iteration:.0f}"
