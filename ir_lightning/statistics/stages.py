"""Does a loss fall in two stages (Fig. 7 of arXiv 2212.02198), or does it only look like it?

Any curve that slows down, such as a power law, is fitted better by two exponentials than by one. So
these have to beat every one-stage rival, by a margin, beyond what the noise explains, in several
trainings. Pass the part of a curve with a constant learning rate: a step of it is a stage, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ir_lightning.statistics.decays import EXP1, EXP2, MODELS, Fit, Series, ShapeGrid, binned
from ir_lightning.statistics.effects import Array

BIC_MARGIN = 10.0  #: By which two exponentials have to beat each rival.
TAU_RATIO = 3.0  #: Below it two cannot be told from one (60 and 120 iterations: 3 of 20 series).
LEVEL = 0.05  #: Of the bootstrap test.
FEWEST_SEEDS = 3
CHUNK = 4_000_000  # simulated values at a time: 32 MB


@dataclass(frozen=True)
class Stages:
    """The verdict on one curve; ``str()`` says it in a sentence."""

    fits: dict[str, Fit]  #: By name: exp1, exp2, power, shifted power, stretched.
    best: str  #: Name of the model with the least BIC.
    p_value: float  #: Bootstrap likelihood-ratio test of exp1 against exp2.
    phi: float  #: AR(1) coefficient of the noise, between records.
    noise: float  #: Its standard deviation, in units of the loss.
    window: float  #: Iterations that the curve spans.
    two_stage: bool
    reason: str

    @property
    def taus(self) -> tuple[float, float]:
        """Time constants of the two exponentials, iterations, the fast one first."""
        fast, slow = self.fits[EXP2.name].taus
        return fast, slow

    @property
    def one_stage(self) -> bool:
        """Whether a rival of one stage is proven: better than two exponentials, by the margin.

        That they were not found is no proof: in noise of 0.15 of a loss (a batch of one has 0.16 to
        0.21), true stages of 20 and 300 in 1,000 iterations are found in 1 of 8 curves.
        """
        two = self.fits[EXP2.name].bic
        return any(two - fit.bic >= BIC_MARGIN for fit in self.fits.values())

    @property
    def bic(self) -> dict[str, float]:
        """BIC of each model; less is better."""
        return {name: fit.bic for name, fit in self.fits.items()}

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Agreement:
    """The verdict over training seeds; ``str()`` says it in a sentence."""

    seeds: int
    two_stage: int  #: Seeds whose curve has two stages.
    verdict: Literal["two-stage", "not two-stage", "undecided"]
    taus: tuple[float, float]  #: Medians over the seeds, iterations.
    reason: str

    def __str__(self) -> str:
        return self.reason


def stages(iterations: ArrayLike, losses: ArrayLike, bootstrap: int = 199, seed: int = 0) -> Stages:
    """Judge one curve.

    "Two-stage" if, and only if, exp2 beats every rival's BIC by 10, the bootstrap test of exp1
    against exp2 has p <= 0.05, tau2 / tau1 >= 3, and tau2 is shorter than the curve.

    Where noise shrinks with the loss, and its correlation is 0.8, up to 12 % of one-stage curves
    pass: trust :func:`over_seeds`.

    Args:
        iterations, losses: (T,), rising from 1 or later; at least 40.
        bootstrap, seed: simulated series; the least p is 1 / (bootstrap + 1).

    Raises:
        ValueError, UsageError: see :func:`.decays.binned`; fewer than 199 simulated series.
    """
    if bootstrap < 199:
        raise ValueError(f"bootstrap={bootstrap}: fewer than 199 series make p too coarse")
    series = binned(iterations, losses)
    grids = {model.name: ShapeGrid(model, series) for model in MODELS}
    fits = {name: grid.fit() for name, grid in grids.items()}
    p = _bootstrap(series, grids, fits[EXP1.name], bootstrap, seed)
    failures = _failures(fits, p, series.window)
    best = min(fits, key=lambda name: fits[name].bic)
    fast, slow = fits[EXP2.name].taus
    reason = f"Two stages of {fast:.3g} and {slow:.3g} iterations (bootstrap p = {p:.3g})."
    if failures:
        reason = f"Not two stages: {'; '.join(failures)}. Best by BIC: {best}."
    return Stages(fits, best, p, series.phi, series.noise, series.window, not failures, reason)


def over_seeds(curves: Sequence[Stages]) -> Agreement:
    """Judge the curves of several trainings that differ only in their seed.

    "two-stage" if each of at least three curves is; "not two-stage" if each of them is proven to
    have one; "undecided" otherwise.

    Raises:
        ValueError: there is no curve.
    """
    if not curves:
        raise ValueError("no curves")
    count = sum(curve.two_stage for curve in curves)
    fast, slow = np.median([curve.taus for curve in curves], axis=0)
    text = f"{count} of {len(curves)} training seeds show two stages"
    taus = float(fast), float(slow)
    if len(curves) < FEWEST_SEEDS:
        text += f"; at least {FEWEST_SEEDS} seeds are needed"
        return Agreement(len(curves), count, "undecided", taus, f"{text}.")
    one = sum(curve.one_stage for curve in curves)
    verdict: Literal["two-stage", "not two-stage", "undecided"] = "undecided"
    if count == len(curves):
        verdict = "two-stage"
    elif one == len(curves):
        verdict = "not two-stage"
    return Agreement(len(curves), count, verdict, taus, f"{text}, {one} are proven to have one.")


def _failures(fits: dict[str, Fit], p: float, window: float) -> list[str]:
    two = fits[EXP2.name]
    fast, slow = two.taus
    rivals = [name for name in fits if name != EXP2.name]
    close = [name for name in rivals if not fits[name].bic - two.bic >= BIC_MARGIN]
    failures = []
    if close:
        failures.append(f"exp2 does not beat {', '.join(close)} by {BIC_MARGIN:g} in BIC")
    if not p <= LEVEL:
        failures.append(f"noise around one exponential does as well (bootstrap p = {p:.2g})")
    if not slow >= TAU_RATIO * fast:
        failures.append(f"taus {fast:.3g} and {slow:.3g} are less than {TAU_RATIO:g} apart")
    if not slow < window:
        failures.append(f"tau {slow:.3g} is longer than the curve of {window:.0f} iterations")
    return failures


def _bootstrap(
    series: Series, grids: dict[str, ShapeGrid], null: Fit, repeats: int, seed: int
) -> float:
    """p of the likelihood ratio of exp1 and exp2, under exp1 with AR(1) noise.

    Chi-squared would be wrong: under exp1 the second tau has no value. Observed and simulated
    curves are fitted on the same grids and weights without refinement, so the comparison is fair.
    """

    def ratios(curves: Array) -> Array:
        one, two = (grids[model.name].search(curves)[0] for model in (EXP1, EXP2))
        return np.log(np.maximum(one, tiny) / np.maximum(two, tiny))

    # A residual is a difference of sums of squares, so it is known to their rounding error.
    whole = grids[EXP1.name].whiten(series.values)
    tiny = max(np.finfo(float).eps * float(whole @ whole), series.rounding)
    curve, random = null(series.records), np.random.default_rng(seed)
    at_once = max(1, CHUNK // len(curve))
    simulated = [
        ratios(series.simulate(curve, min(at_once, repeats - done), random))
        for done in range(0, repeats, at_once)
    ]
    observed = ratios(series.values[None])[0]
    exceeded = int((np.concatenate(simulated) >= observed).sum())
    return (1 + exceeded) / (repeats + 1)
