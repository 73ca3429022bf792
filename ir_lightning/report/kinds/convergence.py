"""How trainings converge, from their curves: the measurements and claims of Fig. 7.

Nothing is read but ``metrics.csv``, which ``callbacks=[default,balance]`` has added to.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ir_lightning.errors import UsageError
from ir_lightning.report.claims import UNDECIDED, Part, ReportClaim, Verdict
from ir_lightning.report.runs import Array, NotMeasuredError, Results, Run, read_curves
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
ALPHA = 0.05


Curve = tuple[Array, Array]
"""(N,) iterations and (N,) values."""


def curve_of(curves: pd.DataFrame, name: str, first: float = 0) -> Curve:
    """A column of ``metrics.csv``, where it has values, from an iteration on.

    Raises:
        UsageError: the curve has no such column.
    """
    column = curves[name].dropna() if name in curves else ()
    if not len(column):
        raise UsageError(f"its curve has no {name}")
    iterations, values = np.asarray(column.index, dtype=np.float64), np.asarray(column)
    return iterations[iterations >= first], values[iterations >= first]


@dataclass(frozen=True)
class Convergence:
    """What one run's curve says; what it does not allow to say is None, with the reason."""

    curves: pd.DataFrame
    """``metrics.csv``."""
    stages: Stages | None = None
    saturated: Time | None = None
    """t_sat(D)."""
    gained: Time | None = None
    """t_90(G)."""
    imbalance: Imbalance | None = None
    vanishing: Vanishing | None = None
    bits: float = np.nan
    """J_D at the last check."""
    auc: float = np.nan
    missing: list[str] = field(default_factory=list)


@lru_cache(maxsize=512)
def convergence(run: Run) -> Convergence:
    """Measure one finished run. The bootstrap's random numbers are always the same."""
    curves = read_curves(run.directory)
    missing: list[str] = []
    fitted = gradients = None
    try:
        fitted = stages(*curve_of(curves, LOSS))
    except UsageError as error:
        missing.append(str(error))
    try:
        names = ("balance/g_adversarial", "balance/g_pixel")
        gradients = vanishing(*(curve_of(curves, name, 1)[1] for name in names))
    except UsageError as error:
        missing.append(str(error))
    try:
        d = t_saturated(*curve_of(curves, "balance/low", 1))
        g = t_gained(*curve_of(curves, SCORE, 1))
        bits, auc = (float(curve_of(curves, f"balance/{name}")[1][-1]) for name in ("bits", "auc"))
    except UsageError as error:
        missing.append(str(error))
        return Convergence(curves, fitted, vanishing=gradients, missing=missing)
    return Convergence(curves, fitted, d, g, imbalance(g, d), gradients, bits, auc, missing)


@dataclass(frozen=True, kw_only=True)
class CurveClaim(ReportClaim):
    """Base of the claims about the training curves of one cell.

    Args:
        where: values of the cell.
    """

    where: Part

    def verdict(self, results: Results, place: str) -> Verdict:
        runs = self.one(results, self.where, place).finished
        if not runs:
            raise NotMeasuredError("no run has finished")
        return self.over_seeds([convergence(run) for run in runs])

    @abstractmethod
    def over_seeds(self, runs: Sequence[Convergence]) -> Verdict:
        """What the curves of at least one seed say."""


class TwoStages(CurveClaim):
    """The loss falls in two stages, by the rule of :mod:`ir_lightning.statistics.stages`."""

    def over_seeds(self, runs: Sequence[Convergence]) -> Verdict:
        fits = [run.stages for run in runs if run.stages]
        if not fits:
            return UNDECIDED, runs[0].missing[0]
        agreed = over_seeds(fits)
        verdicts = {"two-stage": "supported", "not two-stage": "not supported"}
        by_seed = " ".join(str(fit) for fit in fits)
        return verdicts.get(agreed.verdict, UNDECIDED), f"{agreed} Seed by seed: {by_seed}"


class DiscriminatorAhead(CurveClaim):
    """The discriminator saturates before the generator has converged.

    B > 0, by its t interval over seeds. A censored time leaves a bound on B. Bounds from below may
    only support the claim and bounds from above only refute it, so each limit is taken over what it
    holds for.
    """

    def over_seeds(self, runs: Sequence[Convergence]) -> Verdict:
        known = [run.imbalance for run in runs if run.imbalance]
        reason = "B = " + "; ".join(map(str, known))
        known = [balance for balance in known if balance.bound != "unknown"]
        if len(known) < FEWEST_SEEDS or len(known) < len(runs):
            return UNDECIDED, f"{reason} ({FEWEST_SEEDS} seeds with a known B are needed)"
        values = np.array([balance.value for balance in known])
        error = values.std(ddof=1) / np.sqrt(len(values)) * stdtrit(len(values) - 1, 1 - ALPHA)
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

    Supported if it does in every one of three or more seeds, refuted if it does in none.
    """

    def over_seeds(self, runs: Sequence[Convergence]) -> Verdict:
        known = [run.vanishing for run in runs if run.vanishing]
        if not known:
            return UNDECIDED, runs[0].missing[-1]
        gone = [each.verdict == "vanishing" for each in known]
        reason = "; ".join(str(each) for each in known)
        if len(known) < FEWEST_SEEDS:
            return UNDECIDED, f"{reason} ({FEWEST_SEEDS} seeds are needed)"
        return "supported" if all(gone) else UNDECIDED if any(gone) else "not supported", reason
