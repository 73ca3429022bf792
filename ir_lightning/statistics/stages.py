"""Does a loss fall in two stages (Fig. 7 of arXiv 2212.02198), or does it only look like it?

Any curve that slows down, such as a power law, is fitted better by two exponentials than by one. So
these have to beat every one-stage rival, by a margin, beyond what the noise explains, in several
trainings. Pass the part of a curve with a constant learning rate: a step of it is a stage, too.

That two stages were not found proves nothing: noise may hide them. So "not two-stage" is a verdict
only where a rival is clearly better, or where the rule would most probably have found the two
stages that were fitted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ir_lightning.statistics.decays import (
    EXP1,
    EXP2,
    MODELS,
    Fit,
    Model,
    ShapeGrid,
    binned,
    noise_growth,
)
from ir_lightning.statistics.effects import Array

BIC_MARGIN = 10.0  #: By which two exponentials have to beat each rival.
TAU_RATIO = 3.0  #: Below it two cannot be told from one (60 and 120 iterations: 3 of 20 series).
LEVEL = 0.05  #: Of the bootstrap test.
FEWEST_SEEDS = 3
POWER = 0.8  #: From it on, not to have found two stages speaks against them.
POWER_SERIES = 200  #: Simulated for the power: a standard error of 0.03 at 0.8.
CHUNK = 4_000_000  # simulated values at a time: 32 MB

Grids = Mapping[str, ShapeGrid]
"""Of all models, by name, on the bins of one series."""
Searched = dict[str, tuple[Array, Array]]
"""By model: residual sums of squares (R,), and places (R, terms) in the grid of shapes."""


@dataclass(frozen=True)
class Stages:
    """The verdict on one curve; ``str()`` says it in a sentence."""

    fits: dict[str, Fit]  #: By name: exp1, exp2, power, shifted power, stretched.
    p_value: float  #: Bootstrap likelihood-ratio test of exp1 against exp2.
    power: float | None
    """Probability that the rule finds the two stages that exp2 describes; None if it describes
    none (see :func:`power`)."""
    phi: float  #: AR(1) coefficient of the noise, between records.
    noise: float  #: Its standard deviation, in units of the loss.
    window: float  #: Iterations that the curve spans.
    failures: tuple[str, ...]  #: Why two stages are not shown, in words; empty if they are.

    @property
    def two_stage(self) -> bool:
        """Whether two stages are shown."""
        return not self.failures

    @property
    def one_stage(self) -> bool:
        """Whether two stages are refuted: a rival beats them by the margin, or they are not shown
        where the rule has a power of 0.8.
        """
        return bool(self._beaten_by) or ((self.power or 0) >= POWER and not self.two_stage)

    @property
    def best(self) -> str:
        """Name of the model with the least BIC."""
        return min(self.fits, key=lambda name: self.fits[name].bic)

    @property
    def taus(self) -> tuple[float, float]:
        """Time constants of the two exponentials, iterations, the fast one first."""
        fast, slow = self.fits[EXP2.name].taus
        return fast, slow

    @property
    def bic(self) -> dict[str, float]:
        """BIC of each model; less is better."""
        return {name: fit.bic for name, fit in self.fits.items()}

    @property
    def _beaten_by(self) -> list[str]:
        two = self.fits[EXP2.name].bic
        return [name for name, fit in self.fits.items() if two - fit.bic >= BIC_MARGIN]

    def __str__(self) -> str:
        if self.two_stage:
            fast, slow = self.taus
            p = self.p_value
            return f"Two stages of {fast:.3g} and {slow:.3g} iterations (bootstrap p = {p:.3g})."
        known = "exp2 has no two stages" if self.power is None else f"power {self.power:.2f}"
        if beaten := self._beaten_by:
            known = f"{' and '.join(beaten)} better than exp2 by {BIC_MARGIN:g} in BIC"
        begin = "Not two stages" if self.one_stage else "Undecided"
        return f"{begin}, {known}: {'; '.join(self.failures)}. Best by BIC: {self.best}."


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

    Where noise shrinks with the loss, and its correlation is 0.8, up to a third of one-stage curves
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
    two = fits[EXP2.name]
    growth = noise_growth(series, two)
    null = ratios_of_one(grids, fits[EXP1.name], growth, bootstrap, seed)
    p = float(p_values(ratios(searched(grids, series.values[None], EXP1, EXP2)), null)[0])
    chance = power(grids, two, growth, null, seed)
    failures = _failures(fits, p, series.window)
    return Stages(fits, p, chance, series.phi, series.noise, series.window, failures)


def over_seeds(curves: Sequence[Stages]) -> Agreement:
    """Judge the curves of several trainings that differ only in their seed.

    "two-stage" if each of at least three curves is; "not two-stage" if in each of them two stages
    are refuted; "undecided" otherwise.

    Of 60 simulated curves of 200 points, with noise of 0.05, 0.15 and 0.35 of the loss and a
    correlation of 0 or 0.8 (``benchmarks/stage_errors.py``), these were

    - called two-stage, though they have one: of exponentials 0 to 2 %, of power laws 0 to 23 %, of
      stretched exponentials 0 to 35 %; the most with a correlation of 0.8, and none without. So of
      three trainings about 4 % agree falsely in the worst case (60 curves leave up to 11 %);
    - called two-stage, with taus of 20 and 300 iterations in 1,000: 85 to 93 % in noise of 0.05, 5
      to 37 % of 0.15, and 0 to 5 % of 0.35 (taus of 60 and 300: 0 to 13 %);
    - refuted, though they have these two stages: 2 to 8 % (0 to 15 %), so about 0.3 % of
      three trainings agree on it in the worst case (up to 2 %).

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
    return Agreement(len(curves), count, verdict, taus, f"{text}, in {one} they are refuted.")


def power(grids: Grids, two: Fit, growth: float, null: Array, seed: int = 0) -> float | None:
    """Probability that the rule of :func:`stages` finds the two stages of ``two``, the fitted exp2.

    Curves are simulated from it, with the AR(1) noise of the series, and judged by that rule: on
    the grids, with the weights and the null distribution of the series itself, which costs a tenth
    of a second instead of a minute, and agrees with whole verdicts (in ``test_stages.py``).

    None, where ``two`` has no two stages itself: an amplitude is zero, the taus are less than 3
    apart, or the slow one is longer than the curve. The rule is then right to find none, and how
    often it does says nothing of two stages that the noise may hide.

    Args:
        grids, two: of the series.
        growth: of the noise with the loss; see :func:`.decays.noise_growth`.
        null: (S,) log likelihood ratios of exp1 and exp2 of simulated curves of one stage.
        seed: of the noise.
    """
    series, (fast, slow) = grids[EXP2.name].series, two.taus
    if min(two.amplitudes) <= 0 or not (slow >= TAU_RATIO * fast and slow < series.window):
        return None
    random = np.random.default_rng([seed, 1])
    found = searched(grids, series.simulate(two(series.records), growth, POWER_SERIES, random))
    bic = {name: grids[name].bic(rss) for name, (rss, _) in found.items()}
    rivals = np.min([bic[name] for name in bic if name != EXP2.name], axis=0)
    taus = np.sort(grids[EXP2.name].shapes[found[EXP2.name][1], 0], axis=1)
    shown = (rivals - bic[EXP2.name] >= BIC_MARGIN) & (p_values(ratios(found), null) <= LEVEL)
    shown &= (taus[:, 1] >= TAU_RATIO * taus[:, 0]) & (taus[:, 1] < series.window)
    return float(shown.mean())


def searched(grids: Grids, curves: Array, *models: Model) -> Searched:
    """Residuals (R,) and shapes of the models that fit curves (R, B) best, all if none is named.

    On the grids, without refinement, so that observed and simulated curves compare.
    """
    # A residual is a difference of sums of squares, so it is known to their rounding error.
    series = grids[EXP1.name].series
    whole = grids[EXP1.name].whiten(series.values)
    tiny = max(np.finfo(float).eps * float(whole @ whole), series.rounding)
    found = {model.name: grids[model.name].search(curves) for model in models or MODELS}
    return {name: (np.maximum(rss, tiny), index) for name, (rss, index) in found.items()}


def ratios(found: Searched) -> Array:
    """(R,) log likelihood ratios of exp1 and exp2."""
    return np.asarray(np.log(found[EXP1.name][0] / found[EXP2.name][0]))


def ratios_of_one(grids: Grids, one: Fit, growth: float, repeats: int, seed: int) -> Array:
    """(S,) ratios of curves simulated from the fitted exp1: what noise does to one stage.

    Chi-squared would be wrong: under exp1 the second tau has no value.
    """
    series = grids[EXP1.name].series
    curve, random = one(series.records), np.random.default_rng(seed)
    at_once = max(1, CHUNK // len(curve))
    parts = [min(at_once, repeats - done) for done in range(0, repeats, at_once)]
    simulated = (series.simulate(curve, growth, part, random) for part in parts)
    return np.concatenate([ratios(searched(grids, curves, EXP1, EXP2)) for curves in simulated])


def p_values(observed: Array, null: Array) -> Array:
    """(R,) p of ratios (R,) among simulated ones (S,): 1 / (S + 1) at least."""
    exceeded = (null >= observed[:, None]).sum(axis=1)
    return np.asarray((1 + exceeded) / (len(null) + 1))


def _failures(fits: dict[str, Fit], p: float, window: float) -> tuple[str, ...]:
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
    return tuple(failures)
