"""Is one method better than another, by how much, and does quality grow along a factor?

Every answer, also about depths, rests on one variance that knows the errors of training seeds and
of test images. With scores y[k, s, i] of level k (a depth, a method), training seed s and test
image i, a contrast c has

    v = s_u^2 sum_k c_k^2 / S_k + var_i(c . ybar_i) / I

s_u^2 is the variance between the seeds' image means, pooled within levels (sum_k (S_k - 1) degrees
of freedom); ybar_i are means over seeds. Images are paired across everything, seeds across nothing.
Noise peculiar to one seed and one image is in both parts, so v errs to the large side, by s_e^2
sum_k c_k^2 / (S_k I). Degrees of freedom: Satterthwaite, Biometrics Bulletin 2 (1946) 110.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from ir_lightning.errors import UsageError

Array = NDArray[np.float64]
Verdict = Literal["supported", "not supported", "undecided"]


@dataclass(frozen=True)
class Contrasts:
    """Estimates of one or many contrasts; all arrays share one shape."""

    value: Array
    standard_error: Array
    df: Array

    def p_below(self, bound: ArrayLike = 0.0) -> Array:
        """One-sided p of "the contrast is at least ``bound``": small proves that it is less."""
        return np.asarray(stdtr(self.df, self._t(bound)))

    def p_above(self, bound: ArrayLike = 0.0) -> Array:
        """One-sided p of "the contrast is at most ``bound``": small proves that it is more."""
        return np.asarray(stdtr(self.df, -self._t(bound)))

    def limits(self, alpha: float) -> tuple[Array, Array]:
        """Lower and upper limit, each missed with probability ``alpha``."""
        reach = stdtrit(self.df, 1 - alpha) * self.standard_error
        return self.value - reach, self.value + reach

    def _t(self, bound: ArrayLike) -> Array:
        distance = self.value - np.asarray(bound)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = distance / self.standard_error
        # Scores without any variance leave no doubt, except exactly at the bound.
        certain = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
        return np.where(self.standard_error > 0, t, certain)


@dataclass(frozen=True)
class Effects:
    """What a table of scores says about its K levels: all that a contrast needs."""

    means: Array  #: (K,), in the unit of the scores; NaN for a level without a run.
    seeds: NDArray[np.int64]  #: (K,), finished runs of each level.
    images: int  #: I.
    seed_variance: float  #: s_u^2, pooled; NaN while no level has two runs.
    seed_df: int
    image_covariance: Array  #: (K, K), over images, of the scores averaged over seeds.

    @property
    def gap(self) -> str | None:
        """Why no contrast can be judged yet, in words; None when one can."""
        if missing := np.count_nonzero(self.seeds == 0):
            return f"{missing} of the {len(self.seeds)} levels have no finished run"
        if self.seed_df < 1:
            return "no level has two training seeds, so the error between seeds is unknown"
        if self.images < 2:
            return "there is one test image, so the error between images is unknown"
        return None

    def contrasts(self, weights: ArrayLike) -> Contrasts:
        """Estimate contrasts; each row of ``weights`` (..., K) is the c of one.

        Raises:
            UsageError: the scores cannot show their own error (:attr:`gap`).
        """
        if self.gap:
            raise UsageError(f"Nothing can be judged: {self.gap}.")
        c = np.asarray(weights, dtype=float)
        seed = self.seed_variance * (c**2 / self.seeds).sum(-1)
        spread = np.einsum("...j,jk,...k->...", c, self.image_covariance, c)
        image = np.maximum(spread, 0) / self.images  # rounding can make it negative
        variance = seed + image
        with np.errstate(divide="ignore", invalid="ignore"):
            df = variance**2 / (seed**2 / self.seed_df + image**2 / (self.images - 1))
        df = np.where(variance > 0, df, self.seed_df)
        return Contrasts(np.asarray(c @ self.means), np.sqrt(variance), df)


def stacked(rows: Sequence[Array]) -> Array:
    """(K, S, I) scores of levels from (S, I) each, NaN where a level has fewer seeds."""
    scores = np.full((len(rows), *np.max([row.shape for row in rows], axis=0)), np.nan)
    for level, row in zip(scores, rows, strict=True):
        level[: len(row), : row.shape[1]] = row
    return scores


def effects(scores: ArrayLike) -> Effects:
    """Condense scores (K levels, S seeds, I images).

    A missing run is NaN for all of its images; each mean counts with its own number of runs.

    Raises:
        ValueError: the array does not have three dimensions.
        UsageError: a run lacks some of the images, or a score is infinite.
    """
    y = np.asarray(scores, dtype=float)
    if y.ndim != 3 or 0 in y.shape:
        raise ValueError(f"scores have shape {y.shape}; they need (levels, seeds, images)")
    missing = np.isnan(y).all(axis=2)
    if np.isnan(y[~missing]).any():
        raise UsageError("A run lacks the score of some images: score every run on the same ones.")
    if np.isinf(y).any():
        raise UsageError(
            "A score is infinite: an image was restored exactly, which has no finite PSNR. "
            "Leave that image out of every run."
        )
    seeds = (~missing).sum(axis=1)
    runs = np.where(missing, 0.0, y.mean(axis=2))  # (K, S)
    with np.errstate(invalid="ignore"):
        means = runs.sum(axis=1) / seeds
        by_image = np.where(missing[:, :, None], 0.0, y).sum(axis=1) / seeds[:, None]
    scatter = np.where(missing, 0.0, runs - means[:, None]) ** 2
    df = int(np.maximum(seeds - 1, 0).sum())
    variance = float(scatter.sum() / df) if df else math.nan
    images = y.shape[2]
    covariance = np.full((len(y), len(y)), np.nan)
    if images > 1:
        covariance = np.atleast_2d(np.cov(by_image))
    return Effects(means, seeds, images, variance, df, covariance)


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
