"""How trainings converge, from ``metrics.csv``: the measurements, claims and table of Fig. 7."""

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
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
    LossEnds,
    Time,
    Vanishing,
    imbalance,
    loss_ends,
    t_gained,
    t_saturated,
    vanishing,
)
from ir_lightning.statistics.stages import FEWEST_SEEDS, Stages, over_seeds, stages

LOSS = "balance/generator"  #: On held-out windows: that of a batch is too noisy to show stages.
SCORE = "val/psnr"
TENTHS = ("first", "last")
LEGEND = (
    "Taus and times in iterations; medians over seeds. The curves are losses on held-out windows. "
    "A time with > was not reached; D is saturated at 0.9 bits, G converged at 90 % of its gain in "
    "validation PSNR. nu and r: how the gradient that reaches G through D falls, and what it is "
    "beside that of the pixels. D's loss: its last tenth, as a share of what it is at chance; G's "
    "adversarial loss: its first and its last tenth."
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
    vanishing: Vanishing | None = None
    imbalance: Imbalance | None = None
    saturated: Time | None = None  #: t_sat(D).
    gained: Time | None = None  #: t_90(G).
    bits: float = np.nan  #: J_D at the last check.
    auc: float = np.nan
    ends: LossEnds | None = None
    missing: dict[str, str] = field(
        default_factory=dict
    )  #: Reasons, by the names of :data:`MEASURES`.


@lru_cache(maxsize=512)
def convergence(run: Run) -> Convergence:
    """Measure one finished run. The bootstrap's random numbers are always the same."""
    found = Convergence(read_curves(run.directory))
    for name, measure in MEASURES.items():
        try:
            measure(found)
        except UsageError as error:
            found.missing[name] = str(error)
    return found


def _stages(run: Convergence) -> None:
    run.stages = stages(*curve_of(run.curves, LOSS))


def _vanishing(run: Convergence) -> None:
    names = ("balance/g_adversarial", "balance/g_pixel")
    run.vanishing = vanishing(*(curve_of(run.curves, name, 1)[1] for name in names))


def _imbalance(run: Convergence) -> None:
    d = t_saturated(*curve_of(run.curves, "balance/low", 1))
    g = t_gained(*curve_of(run.curves, SCORE, 1))
    ends = (curve_of(run.curves, f"balance/{name}")[1][-1] for name in ("bits", "auc"))
    run.bits, run.auc = map(float, ends)
    run.saturated, run.gained, run.imbalance = d, g, imbalance(g, d)


def _ends(run: Convergence) -> None:
    names = ("discriminator", "chance", "adversarial")
    run.ends = loss_ends(*(curve_of(run.curves, f"balance/{name}", 1)[1] for name in names))


MEASURES: dict[str, Callable[[Convergence], None]] = {
    "stages": _stages,
    "vanishing": _vanishing,
    "imbalance": _imbalance,
    "ends": _ends,
}


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
            return UNDECIDED, runs[0].missing["stages"]
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
        low, high = _limits(values, alpha)
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
            return UNDECIDED, runs[0].missing["vanishing"]
        gone = [each.verdict == "vanishing" for each in known]
        reason = "; ".join(map(str, known))
        if len(known) < FEWEST_SEEDS:
            return UNDECIDED, f"{reason} ({FEWEST_SEEDS} seeds are needed)"
        return "supported" if all(gone) else UNDECIDED if any(gone) else "not supported", reason


@dataclass(frozen=True, kw_only=True)
class LossesSeparate(CurveClaim):
    """D's loss tends to zero while G's adversarial loss grows: the words of section VI.3.

    In every training, both losses are those on held-out windows:

    - D's loss tends to zero: in the last tenth it is below ``near_zero`` of its loss at chance;
    - G's adversarial loss grows: in the last tenth it is larger than in the first.

    The logarithms of that share and of that growth are judged over at least three seeds by t
    intervals. Both parts have to be proven, each at the claim's error: no correction is needed, as
    the claim is false where either part is (intersection-union). One refuted part refutes it, at
    half of that error each.

    What it does not say is why: to the non-saturating loss, G's large loss is a large gradient.
    :class:`GradientVanishes` measures that.
    """

    near_zero: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.near_zero < 1:
            raise UsageError(f"near_zero={self.near_zero}: give a share between 0 and 1.")

    def over_seeds(self, runs: Sequence[Convergence], alpha: float) -> Verdict:
        known = [run.ends for run in runs if run.ends]
        if len(known) < len(runs):
            return UNDECIDED, next(run.missing["ends"] for run in runs if not run.ends)
        shares = ", ".join(f"{ends.discriminator:.2g}" for ends in known)
        losses = ", ".join(f"{ends.first:.2g} to {ends.last:.2g}" for ends in known)
        reason = f"D's loss ends at {shares} of chance; G's adversarial loss goes from {losses}"
        if len(known) < FEWEST_SEEDS:
            return UNDECIDED, f"{reason} ({FEWEST_SEEDS} seeds are needed)"
        left = np.log([ends.discriminator for ends in known])
        grown = np.log([ends.growth for ends in known])
        zero = math.log(self.near_zero)
        low, high = (np.exp(_limits(values, alpha / 2)) for values in (left, grown))
        reason += (
            f"; of chance there is left {math.exp(left.mean()):.2g} [{low[0]:.2g}, {low[1]:.2g}] "
            f"against {self.near_zero:g}, and G's loss is multiplied by "
            f"{math.exp(grown.mean()):.2g} [{high[0]:.2g}, {high[1]:.2g}] against 1"
        )
        if _limits(left, alpha)[1] < zero and _limits(grown, alpha)[0] > 0:
            return "supported", reason
        refuted = _limits(left, alpha / 2)[0] > zero or _limits(grown, alpha / 2)[1] < 0
        return "not supported" if refuted else UNDECIDED, reason


@dataclass(frozen=True, kw_only=True)
class ConvergenceTable(ReportKind):
    """A row for each training, with the measurements of its curves over seeds."""

    metrics: Sequence[str] = ("psnr",)

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        return {"table": pd.DataFrame([self._line(cell, results) for cell in self.cells(results)])}

    def notes(self, results: Results) -> list[str]:
        runs = [(cell.row, run) for cell in self.cells(results) for run in cell.group.finished]
        missing = [
            f"- {row}: {why}" for row, run in runs for why in convergence(run).missing.values()
        ]
        return [*super().notes(results), LEGEND, *dict.fromkeys(missing)]

    def _line(self, cell: NamedCell, results: Results) -> dict[str, str]:
        measured = [convergence(run) for run in cell.group.finished]
        fits = [each.stages for each in measured if each.stages]
        two, powers = [fit.two_stage for fit in fits], [fit.power for fit in fits]
        balances = [each.imbalance for each in measured if each.imbalance]
        gradients = [each.vanishing for each in measured if each.vanishing]
        timed = [each for each in measured if each.imbalance]
        ends = [each.ends for each in measured if each.ends]
        adversarial = [_median([getattr(each, end) for each in ends], ".2g") for end in TENTHS]
        line = {
            "training": cell.row,
            "curves in two stages": f"{sum(two)}/{len(two)}" if two else "-",
            "power": "; ".join("-" if p is None else f"{p:.2f}" for p in powers) or "-",
            "best fit": _most([fit.best for fit in fits]),
            "tau fast": _median([fit.taus[0] for fit in fits], ".3g"),
            "tau slow": _median([fit.taus[1] for fit in fits], ".3g"),
            "J_D (bits)": _median([each.bits for each in timed], ".2f"),
            "AUC": _median([each.auc for each in timed], ".3f"),
            "t_sat(D)": _middle([each.saturated for each in timed]),
            "t_90(G)": _middle([each.gained for each in timed]),
            "B = log2(t_90 / t_sat)": "; ".join(map(str, balances)) or "-",
            "D's loss": _median([each.discriminator for each in ends], ".2g"),
            "G's adversarial loss": " to ".join(adversarial) if ends else "-",
            "nu": _median([each.index for each in gradients], ".2f"),
            "r": _median([each.ratio for each in gradients], ".2g"),
        }
        for place, metric in enumerate(map(results.metric, self.metrics)):
            spread = cell.group.spread(metric.name)
            line[metric.title] = metric.text(spread.mean)
            if place == 0:
                line["sd"] = metric.text(spread.sd)
        return line | {"seeds": cell.group.seeds}


def _limits(values: Array, alpha: float) -> Array:
    """The lower and the upper limit of a mean over seeds, each missed with probability alpha."""
    error = values.std(ddof=1) / np.sqrt(len(values)) * stdtrit(len(values) - 1, 1 - alpha)
    return np.array([values.mean() - error, values.mean() + error])


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
