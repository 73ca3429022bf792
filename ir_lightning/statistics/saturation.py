"""At which depth a network stops gaining: N_saturated as an interval with a known error rate.

A test that finds no difference cannot support that deeper networks are NOT better. So depth N has
to be proven non-inferior: no deeper network better by the margin. p(M, N) is the one-sided p of
"mu_M - mu_N >= margin", see :mod:`.effects`; an N that is too small is declared with probability
alpha at most.

1. Gate: max over M of p(M, K) <= alpha, the deepest K against every other depth.
2. Open, a plateau: K-1, K-2, ... in this fixed order, each against every deeper M at level alpha,
   until the first failure; N_U is the last success (Hsu & Berger, JASA 94 (1999) 468).
3. Shut, a peak: max over M of p(M, N) for all N, Holm; N_U is the smallest success.
4. N_L is one after the leading depths 1, 2, ... proven too small: some deeper M is better by more
   than the margin (Bonferroni over M, Holm over N).

``against="deepest"`` tests N in step 2 against K alone, which after a shallow peak declares N too
small far more often than alpha (simulated: 38 %).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from ir_lightning.statistics.comparison import holm
from ir_lightning.statistics.effects import (
    FEWEST_SCENES,
    FEWEST_SEEDS,
    Array,
    Effects,
    effects,
)

PLAN = 3.3
"""Margin over standard error that makes a sweep likely resolved: of eight depths an N_U is found in
0.88 to 0.95 of simulated sweeps, and it is the first depth that is enough in 0.54 to 0.60 (0.80 to
0.87 with 4)."""

Branch = Literal["plateau", "peak"]
Against = Literal["deeper", "deepest"]


@dataclass(frozen=True)
class Harm:
    """What the depth beyond N_U costs: mu_{N_U} - mu_K, K the deepest, one-sided tests.

    The same scores chose N_U, which favours lucky depths: on a plateau the plain test finds a harm
    in 9 to 14 % of sweeps. So everything here is corrected by Bonferroni's K - 1.
    """

    loss: float  #: dB; positive when the deepest is worse.
    low: float  #: Lower limit, missed with probability alpha at most.
    high: float  #: Upper limit, likewise.
    p_any: float  #: Of "going deeper costs nothing".
    p_margin: float  #: Of "going deeper costs no more than the margin".


@dataclass(frozen=True)
class Saturation:
    """The verdict on one depth sweep; ``str()`` says it in a sentence."""

    depths: tuple[int, ...]
    means: tuple[float, ...]  #: Mean score of each depth, dB; NaN where no run has finished.
    margin: float  #: dB.
    alpha: float
    p_values: tuple[float, ...]  #: Of "this depth is too small", before any correction.
    lower: int | None = None
    """N_L: every smaller depth is proven too small. None if nothing could be tested."""
    upper: int | None = None  #: N_U: proven to be enough. None: unresolved.
    branch: Branch | None = None  #: A peak, or the deepest is proven as good as every other depth.
    standard_error: float = math.nan  #: dB, the largest of differences; NaN if unknown.
    seeds_needed: int | None = None  #: Per depth; None: no number of seeds is enough.
    scenes_needed: int | None = None  #: Where seeds alone cannot help; None otherwise.
    harm: Harm | None = None  #: None when unresolved or when N_U is the deepest.
    reason: str = ""

    @property
    def resolved(self) -> bool:
        return self.upper is not None

    def __str__(self) -> str:
        return self.reason


def saturation(
    scores: ArrayLike,
    margin: float = 0.2,
    alpha: float = 0.05,
    *,
    depths: Sequence[int] | None = None,
    keeps: float | None = None,
    against: Against = "deeper",
    unit: str = "dB",
) -> Saturation:
    """Find the interval [N_L, N_U] of depths at which quality saturates; the rule is above.

    Args:
        scores: (K depths, S seeds, I scenes), dB, higher is better; missing runs are NaN.
        margin: the loss that does not matter, dB.
        alpha: bound on the probability of declaring N too small.
        depths: names of the depths, rising; 1..K if None.
        keeps: instead of the margin, the share of the whole gain that N keeps, such as 0.95.
        against: rivals of a depth on a plateau.
        unit: of the scores, instead of dB, for the words.

    Raises:
        ValueError: arguments that make no sense.
        UsageError: scores that cannot be used, see :func:`.effects.effects`.
    """
    found = effects(scores, share=True)
    names = tuple(range(1, len(found.means) + 1)) if depths is None else tuple(depths)
    if len(found.means) < 2 or len(names) != len(found.means) or list(names) != sorted(set(names)):
        raise ValueError(f"{len(found.means)} depths of scores, named {names}: give two or more")
    if not (margin > 0 and 0 < alpha < 0.5) or not (keeps is None or 0 < keeps < 1):
        raise ValueError(f"margin={margin}, alpha={alpha}, keeps={keeps}")
    if keeps is not None:
        margin = (1 - keeps) * float(found.means.max() - found.means[0])
    means = tuple(found.means.tolist())
    if found.gap:
        return _untestable(found, Saturation(names, means, margin, alpha, (math.nan,) * len(names)))
    enough, small, scenes = _tests(found, margin, keeps)
    upper, branch, p_values = _upper(enough, alpha, against)
    lower = _lower(small, alpha, only_deepest=branch == "plateau" and against == "deepest")
    rule = (means, margin, alpha, tuple(p_values.tolist()))
    proven = (names[lower], None if upper is None else names[upper], branch)
    plan, harm = _plan(found, scenes, margin), _harm(found, upper, margin, alpha)
    verdict = Saturation(names, *rule, *proven, *plan, harm)
    return replace(verdict, reason=_reason(verdict, f" {unit}".rstrip()))


def _tests(found: Effects, margin: float, keeps: float | None) -> tuple[Array, Array, Array]:
    """All pairs [M, N]: p of "N is too small", p of "N is enough", variance of the scene part."""
    unit = np.eye(len(found.means))
    gain = unit[:, None] - unit[None]  # c of mu_M - mu_N
    if keeps is not None:
        gain, margin = gain - (1 - keeps) * (unit - unit[0])[:, None], 0.0
    pairs = found.contrasts(gain)
    enough, small = pairs.p_below(margin), pairs.p_above(margin)
    np.fill_diagonal(enough, 0.0)
    np.fill_diagonal(small, 1.0)
    return enough, small, _scene_variances(found, gain)


def _scene_variances(found: Effects, gain: Array) -> Array:
    """[M, N]: the part of scenes in the variance of each contrast (M, N, K)."""
    spread = np.einsum("mnj,jk,mnk->mn", gain, found.scene_covariance, gain)
    return np.asarray(spread / found.scenes)


def _upper(
    enough: Array, alpha: float, against: Against
) -> tuple[int | None, Branch | None, Array]:
    """Index of N_U, the branch that was taken, and each depth's p."""
    deepest = len(enough) - 1
    p = enough.max(axis=0)
    if p[deepest] > alpha:
        proven = np.flatnonzero(holm(p, alpha))
        return (int(proven[0]), "peak", p) if len(proven) else (None, None, p)
    rivals = np.tril(enough, -1) if against == "deeper" else enough[deepest:]
    p = np.append(rivals.max(axis=0)[:deepest], p[deepest])
    failed = np.flatnonzero(p > alpha)
    return (int(failed[-1]) + 1 if len(failed) else 0), "plateau", p


def _lower(small: Array, alpha: float, *, only_deepest: bool) -> int:
    """Index of N_L."""
    deepest = len(small) - 1
    deeper = np.tri(deepest + 1, k=-1, dtype=bool)
    best = np.where(deeper, small, 1.0).min(axis=0)[:deepest] * np.arange(deepest, 0, -1)
    p = small[deepest, :deepest] if only_deepest else best
    kept = np.flatnonzero(~holm(p, alpha))
    return int(kept[0]) if len(kept) else deepest


def _plan(found: Effects, scenes: Array, margin: float) -> tuple[float, int | None, int | None]:
    """Standard error now; seeds, or else scenes, that bring it to margin / 3.3."""
    # Depths far below the best are settled; their differences may vary much and matter little.
    near = found.means > found.means.max() - 2 * margin
    if near.sum() < 2:
        near = found.means >= np.sort(found.means)[-2]
    scene = float(scenes[np.ix_(near, near)].max())
    seed = 2 * float(found.variances[near].mean())
    error = math.sqrt(seed / float(found.seeds[near].min()) + scene)
    room = (margin / PLAN) ** 2
    if scene < room:
        return error, max(2, math.ceil(seed / (room - scene))), None
    return error, None, math.ceil(2 * scene * found.scenes / room) if room else None


def resolves(found: Effects, margin: float, alpha: float = 0.05) -> float:
    """The margin with which a sweep of these levels is likely resolved, see :data:`PLAN`.

    At another alpha than 0.05, by so many standard errors more as a limit is further away. With the
    margin that is asked for, only levels near the best count, if any is known to be.
    """
    unit = np.eye(len(found.means))
    error, *_ = _plan(found, _scene_variances(found, unit[:, None] - unit[None]), margin)
    return error * float(PLAN - ndtri(alpha) - ndtri(0.95))


def _harm(found: Effects, upper: int | None, margin: float, alpha: float) -> Harm | None:
    choices = len(found.means) - 1
    if upper is None or upper == choices:
        return None
    unit = np.eye(choices + 1)
    loss = found.contrasts(unit[upper] - unit[-1])
    low, high = loss.limits(alpha / choices)
    p_any, p_margin = (min(1.0, choices * float(loss.p_above(at))) for at in (0.0, margin))
    return Harm(float(loss.value), float(low), float(high), p_any, p_margin)


def _reason(found: Saturation, unit: str) -> str:
    if found.upper is None:
        need = f"about {found.scenes_needed} scenes, whatever the seeds"
        if found.seeds_needed:
            need = f"{found.seeds_needed} seeds per depth"
        return (
            f"Unresolved: SE = {found.standard_error:.3f}{unit} for a margin of "
            f"{found.margin:.3g}{unit}; need {need}."
        )
    deepest, harm = found.depths[-1], found.harm
    interval = f"{found.lower} to {found.upper}" if found.lower != found.upper else found.upper
    text = f"Saturated at N = {interval} (margin {found.margin:.3g}{unit}, alpha {found.alpha:g})."
    if found.upper == deepest:
        text += " No smaller depth than the deepest is proven to be enough."
    if harm and harm.p_any <= found.alpha:
        text += f" Going on to {deepest} costs {harm.loss:.2f}{unit}, at least {harm.low:.2f}."
    return text


def _untestable(found: Effects, verdict: Saturation) -> Saturation:
    """The verdict where the scores cannot show their own error."""
    empty = [name for name, seeds in zip(verdict.depths, found.seeds, strict=True) if seeds == 0]
    few = not empty and found.scenes >= FEWEST_SCENES
    gap = f"depth {', '.join(map(str, empty))} has no finished run" if empty else found.gap
    return replace(
        verdict,
        seeds_needed=FEWEST_SEEDS if few else None,
        scenes_needed=FEWEST_SCENES if found.scenes < FEWEST_SCENES else None,
        reason=f"Unresolved: {gap}.",
    )
