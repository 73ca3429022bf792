"""Is one method better than another, by how much, and does quality grow along a factor?

All answers carry the error between training seeds and that between test images (``contrasts``).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ir_lightning.errors import UsageError
from ir_lightning.statistics.contrasts import Array, Effects, effects, stacked

Verdict = Literal["supported", "not supported", "undecided"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table: mean and standard deviation over training seeds."""

    mean: float  #: NaN where no run has finished.
    sd: float  #: Of the runs' image means, with n - 1; NaN below two runs.
    n: int  #: Finished runs.


@dataclass(frozen=True)
class Comparison:
    """An estimate, its error, and the verdict on "it is at least ``margin``"."""

    estimate: float  #: In the unit of the scores (per unit of the factor, for a trend).
    low: float  #: Lower limit; together with ``high`` an interval of level 1 - 2 alpha.
    high: float
    standard_error: float  #: NaN where the error between seeds or images is unknown.
    df: float  #: Satterthwaite's.
    p: float  #: One-sided, of "it is at most ``margin``": small supports the claim.
    margin: float
    alpha: float
    verdict: Verdict  #: "supported": low > margin; "not supported": high < margin.
    reason: str  #: The numbers in words, without the verdict.

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


def cell(scores: ArrayLike) -> Cell:
    """Mean and spread of scores (S seeds, I images); a missing run is NaN for all images.

    Raises:
        UsageError: a run lacks some images, or a score is infinite.
    """
    found = effects(np.asarray(scores, dtype=float)[None])
    return Cell(float(found.means[0]), math.sqrt(found.seed_variance), int(found.seeds[0]))


def compare(
    a: ArrayLike, b: ArrayLike, margin: float = 0.0, alpha: float = 0.05, unit: str = ""
) -> Comparison:
    """Judge "A is better than B by at least ``margin``".

    Where seeds do not differ it is the paired t test over images, where A - B does not depend on
    the image the two-sample t test over seeds. Both methods are taken to have the same variance
    between seeds.

    Args:
        a, b: (S_a, I) and (S_b, I), higher is better; missing runs are NaN for all images.
        margin, unit: of the difference.
        alpha: error of each one-sided decision.

    Raises:
        UsageError: the images differ in number, or scores cannot be used.
    """
    rows = [np.asarray(method, dtype=float) for method in (a, b)]
    if any(row.ndim != 2 for row in rows):
        raise ValueError(f"scores have shapes {rows[0].shape}, {rows[1].shape}: (seeds, images)")
    if rows[0].shape[1] != rows[1].shape[1]:
        raise UsageError(
            f"{rows[0].shape[1]} and {rows[1].shape[1]} images: score both methods on the same."
        )
    return _judge(effects(stacked(rows)), np.array([1.0, -1.0]), margin, alpha, unit)


def trend(
    scores: ArrayLike,
    factor: ArrayLike | None = None,
    margin: float = 0.0,
    alpha: float = 0.05,
    unit: str = "",
) -> Comparison:
    """Judge "quality grows along an ordered factor by at least ``margin`` per unit".

    The contrast c_k = (x_k - mean x) / sum (x - mean x)^2, the slope of the least-squares line. It
    says that quality grows on the whole, not that each step helps.

    Args:
        scores: (K levels, S seeds, I images), as in :func:`.saturation.saturation`.
        factor: x_k, such as numbers of layers; 0, 1, 2, ... if None.
        margin, unit: of the slope.
        alpha: error of each one-sided decision.

    Raises:
        UsageError: scores cannot be used.
    """
    found = effects(scores)
    x = np.asarray(range(len(found.means)) if factor is None else factor, dtype=float)
    if x.shape != found.means.shape or len(np.unique(x)) < 2:
        raise ValueError(f"{len(found.means)} levels of scores for a factor of {x.tolist()}")
    centred = x - x.mean()
    return _judge(found, centred / (centred**2).sum(), margin, alpha, unit)


def _judge(found: Effects, weights: Array, margin: float, alpha: float, unit: str) -> Comparison:
    if found.gap:
        nan, estimate = math.nan, float(weights @ found.means)
        return Comparison(estimate, nan, nan, nan, nan, nan, margin, alpha, "undecided", found.gap)
    contrast = found.contrasts(weights)
    estimate, error, df = map(float, (contrast.value, contrast.standard_error, contrast.df))
    low, high = map(float, contrast.limits(alpha))
    p = float(contrast.p_above(margin))
    verdict: Verdict = "undecided"
    if p <= alpha:
        verdict = "supported"
    elif contrast.p_below(margin) <= alpha:
        verdict = "not supported"
    value = f"{estimate:+.3g} {unit}".rstrip()
    reason = f"{value} [{low:+.3g}, {high:+.3g}] against {margin:g}, p = {p:.2g}"
    return Comparison(estimate, low, high, error, df, p, margin, alpha, verdict, reason)
