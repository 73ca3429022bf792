"""Means of methods over training seeds and scenes, and the error of their contrasts.

The unit is the scene: files that show one photograph, in other rain or at another haze level, are
averaged before anything else. With scores y[k, s, i] of level k (a depth, a method), training seed
s and scene i, a contrast c has

    v = sum_k c_k^2 s_k^2 / S_k + var_i(c . ybar_i) / I

s_k^2 is the variance between the scene means of level k's seeds; ybar_i are means over seeds.
Scenes are paired across everything, seeds across nothing. Noise peculiar to one seed and one scene
is in both parts, so v errs to the large side.

A limit is c . ybar -+ sqrt(sum_j t_j^2 v_j) over the parts v_j of v, t_j of the degrees of freedom
of each (Banerjee, Sankhya 22 (1960) 359): it is missed with probability alpha at most, whatever the
variances, since P(Z^2 <= x) is concave in x. It takes three seeds of each level. Neither
Satterthwaite's one number of degrees of freedom, nor one s^2 for all methods where Bartlett's test
finds no difference, keeps what it promises: with three seeds of unequal spread, any of 24 claims
was falsely supported in 14 % of simulated families, and two wild methods among 14 in up to 15 %.

Only the levels of one sweep (:mod:`.saturation`) may share one s^2: if it is known by five degrees
of freedom and Bartlett's test (Proc. R. Soc. A 160 (1937) 268) finds no difference. That overlooks
much where there are two seeds of each: there a contrast's own levels count where they vary more.
With two wild depths among six or eight, N was declared too small in 9 % of simulated sweeps without
that. With more seeds it would cost power (0.59 for 0.76) and mend nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, stdtrit

from ir_lightning.errors import UsageError

Array = NDArray[np.float64]

FEWEST_SCENES = 5
FEWEST_SEEDS = 3  #: Of each level; two where levels share their spread.
FEWEST_POOLED = 5  #: Degrees of freedom of a spread that levels share.
ALIKE = 0.1  #: p of Bartlett's test up to which they share none.


@dataclass(frozen=True)
class Contrasts:
    """Estimates of one or many contrasts."""

    value: Array  #: (...).
    parts: Array  #: (..., P): the parts of each one's variance.
    df: Array  #: (P,): degrees of freedom of these.

    @property
    def standard_error(self) -> Array:
        return np.asarray(np.sqrt(self.parts.sum(-1)))

    def p_below(self, bound: ArrayLike = 0.0) -> Array:
        """One-sided p of "the contrast is at least ``bound``": small proves that it is less."""
        return self._p(np.asarray(bound) - self.value)

    def p_above(self, bound: ArrayLike = 0.0) -> Array:
        """One-sided p of "the contrast is at most ``bound``": small proves that it is more."""
        return self._p(self.value - np.asarray(bound))

    def limits(self, alpha: float) -> tuple[Array, Array]:
        """Lower and upper limit, each missed with probability ``alpha`` at most."""
        reach = self.reach(alpha)
        return self.value - reach, self.value + reach

    def reach(self, alpha: ArrayLike) -> Array:
        """(...) how far a limit is from the estimate."""
        t = stdtrit(self.df, np.asarray(alpha)[..., None])
        return np.asarray(np.sqrt((t**2 * self.parts).sum(-1)))

    def _p(self, distance: Array) -> Array:
        """The alpha at which a limit is this far from the estimate; beyond 1/2 on its other side.

        Between alphas of a grid, to four digits. Scores without any variance leave no doubt, except
        exactly at the bound.
        """
        far = np.abs(distance)
        reaches = np.sqrt(self.parts @ _squares(tuple(self.df.tolist())).T)
        flat = zip(far.ravel(), reaches.reshape(-1, len(ALPHAS)), strict=True)
        logs = [np.interp(each, reach, LOGS) for each, reach in flat]
        p = np.where(far == 0, 0.5, np.exp(np.reshape(logs, far.shape)))
        p = np.where((far > 0) & (self.standard_error == 0), 0.0, p)
        return np.asarray(np.where(distance >= 0, p, 1 - p))


ALPHAS = np.geomspace(0.5, 1e-16, 2000)  #: Smaller p are not told from the last.
LOGS = np.log(ALPHAS)


@lru_cache(maxsize=256)
def _squares(df: tuple[float, ...]) -> Array:
    """(alphas, P): t^2 that is exceeded with probability alpha, of each number of degrees."""
    return np.asarray(stdtrit(np.array(df), ALPHAS[:, None]) ** 2)


class Spread(NamedTuple):
    """The variance between seeds that the levels of a sweep share."""

    variance: float  #: NaN without two seeds in a level.
    df: int
    p: float  #: Bartlett's, of "the levels have one variance"; 1 for a single level.

    @property
    def usable(self) -> bool:
        return self.df >= FEWEST_POOLED and self.p > ALIKE


@dataclass(frozen=True)
class Effects:
    """What a table of scores says about its K levels: all that a contrast needs."""

    means: Array  #: (K,), in the unit of the scores; NaN for a level without a run.
    seeds: NDArray[np.int64]  #: (K,), finished runs of each level.
    scenes: int  #: I.
    variances: Array  #: (K,), s_k^2; NaN below two seeds.
    shared: Spread | None  #: What stands for every s_k^2; None: each has its own.
    scene_covariance: Array  #: (K, K), over scenes, of the scores averaged over seeds.

    @property
    def gap(self) -> str | None:
        """Why no contrast can be judged yet, in words; None when one can."""
        if missing := np.count_nonzero(self.seeds == 0):
            return f"{missing} of the {len(self.seeds)} levels have no finished run"
        if self.scenes < FEWEST_SCENES:
            scenes = "1 scene" if self.scenes == 1 else f"{self.scenes} scenes"
            return f"{scenes}: a verdict takes at least {FEWEST_SCENES}"
        if (fewest := int(self.seeds.min())) < (2 if self.shared else FEWEST_SEEDS):
            seeds = "1 seed" if fewest == 1 else f"{fewest} seeds"
            return f"{seeds} of a cell: a verdict takes at least {FEWEST_SEEDS}"
        return None

    def contrasts(self, weights: ArrayLike) -> Contrasts:
        """Estimate contrasts; each row of ``weights`` (..., K) is the c of one.

        Raises:
            UsageError: the scores cannot show their own error (:attr:`gap`).
        """
        if self.gap:
            raise UsageError(f"Nothing can be judged: {self.gap}.")
        c = np.asarray(weights, dtype=float)
        spread = np.einsum("...j,jk,...k->...", c, self.scene_covariance, c)
        scene = np.maximum(spread, 0) / self.scenes  # rounding can make it negative
        if self.shared:
            seed = self.shared.variance * (c**2 / self.seeds).sum(-1, keepdims=True)
            degrees = np.array([self.shared.df])
            if self.seeds.min() < FEWEST_SEEDS:
                own = (c**2 * self.variances / self.seeds).sum(-1, keepdims=True)
                seed = np.maximum(seed, own)
        else:
            seed = c**2 * self.variances / self.seeds
            degrees = self.seeds - 1
        parts = np.concatenate([seed, scene[..., None]], axis=-1)
        return Contrasts(np.asarray(c @ self.means), parts, np.append(degrees, self.scenes - 1))

    def at(self, seeds: int, scenes: int) -> "Effects":
        """The same levels as so many seeds of each, and so many scenes, would show them."""
        levels = len(self.means)
        shared = self.shared and self.shared._replace(df=levels * (seeds - 1))
        if shared and not shared.usable:
            shared = None
        return replace(self, seeds=np.full(levels, seeds), scenes=scenes, shared=shared)


def stated(levels: int, seed_sd: float, scene_sd: float, share: bool = False) -> Effects:
    """Levels whose scores are known to vary by so much; :meth:`Effects.at` says how many there are.

    Args:
        levels: 2 or more; or 1, which is itself the difference of two.
        seed_sd: between the seeds of a level.
        scene_sd: between scenes, of the difference of two levels.
        share: whether they share this spread, as for :func:`effects`.
    """
    variances, none = np.full(levels, seed_sd**2), np.zeros(levels, dtype=np.int64)
    scene = scene_sd**2 / min(levels, 2) * np.eye(levels)
    shared = Spread(seed_sd**2, 0, 1.0) if share else None
    return Effects(np.zeros(levels), none, 0, variances, shared, scene)


def stacked(rows: Sequence[Array]) -> Array:
    """(K, S, I) scores of levels from (S, I) each, NaN where a level has fewer seeds."""
    scores = np.full((len(rows), *np.max([row.shape for row in rows], axis=0)), np.nan)
    for level, row in zip(scores, rows, strict=True):
        level[: len(row), : row.shape[1]] = row
    return scores


def effects(scores: ArrayLike, share: bool = False) -> Effects:
    """Condense scores (K levels, S seeds, I scenes).

    A missing run is NaN for all of its scenes; each mean counts with its own number of runs.
    ``share``: they are levels of one sweep, which may share a spread.

    Raises:
        ValueError: the array does not have three dimensions.
        UsageError: a run lacks some of the scenes, or a score is infinite.
    """
    y = np.asarray(scores, dtype=float)
    if y.ndim != 3 or 0 in y.shape:
        raise ValueError(f"scores have shape {y.shape}; they need (levels, seeds, scenes)")
    missing = np.isnan(y).all(axis=2)
    if np.isnan(y[~missing]).any():
        raise UsageError("A run lacks the score of some images: score every run on the same ones.")
    if np.isinf(y).any():
        raise UsageError("A score is infinite, and has no mean with the others.")
    seeds = (~missing).sum(axis=1)
    runs = y.mean(axis=2)  # (K, S), NaN where missing
    with np.errstate(invalid="ignore"):
        means = np.where(missing, 0.0, runs).sum(axis=1) / seeds
        by_scene = np.where(missing[:, :, None], 0.0, y).sum(axis=1) / seeds[:, None]
    levels = [level[~gone] for level, gone in zip(runs, missing, strict=True)]
    variances = np.array([np.var(level, ddof=1) if len(level) > 1 else np.nan for level in levels])
    scenes = y.shape[2]
    covariance = np.full((len(y), len(y)), np.nan)
    if scenes > 1:
        covariance = np.atleast_2d(np.cov(by_scene))
    shared = _spread(levels, variances) if share else None
    if shared and not shared.usable:
        shared = None
    return Effects(means, seeds, scenes, variances, shared, covariance)


def averaged(pairs: Sequence[tuple[pd.DataFrame, pd.DataFrame]], paired: bool = False) -> Effects:
    """Condense two methods that are averaged over places, such as the data sets of a table.

    The places are these and no sample of others. A seed is one unit over all of them, since the
    same first weights begin everywhere; so is a scene that several places show, as the synthetic
    data sets do. (Where scenes share nothing but a name, that does no harm.)

    Args:
        pairs: by place, (I, S) scores of A and of B by scene and seed, which index and columns
            name. A missing run is NaN for all scenes; only seeds that have finished everywhere
            count.
        paired: condense A - B, the only level.
    """
    levels = [[a - b for a, b in pairs]] if paired else [*zip(*pairs, strict=True)]
    runs = [
        pd.concat([table.mean() for table in tables], axis="columns").dropna().mean(axis="columns")
        for tables in levels
    ]
    fewest = min(len(table) for tables in levels for table in tables)
    shares = []  # of each scene in how far a level's mean is from what other scenes would give
    for tables in levels:
        means = [table.mean(axis="columns") for table in tables]
        places = [(of - of.mean()) / (len(of) * len(tables)) for of in means]
        shares.append(pd.concat(places, axis="columns").sum(axis="columns"))
    share = pd.concat(shares, axis="columns").to_numpy()
    covariance = fewest**2 / max(fewest - 1, 1) * share.T @ share
    mean, variance = np.array([[of.mean(), of.var()] for of in runs]).T
    return Effects(mean, np.array([*map(len, runs)]), fewest, variance, None, covariance)


def _spread(levels: Sequence[Array], variances: Array) -> Spread:
    """Of the (S_k,) means of each level's runs, and their variances."""
    degrees = np.array([len(means) - 1 for means in levels])
    own, degrees = variances[degrees > 0], degrees[degrees > 0]
    df = int(degrees.sum())
    if df == 0:
        return Spread(math.nan, 0, 1.0)
    shared = float((degrees * own).sum() / df)
    if len(own) == 1 or shared == 0:
        return Spread(shared, df, 1.0)
    if not own.all():
        return Spread(shared, df, 0.0)
    ratio = df * math.log(shared) - float((degrees * np.log(own)).sum())
    correction = 1 + (float((1 / degrees).sum()) - 1 / df) / (3 * (len(own) - 1))
    return Spread(shared, df, float(chdtrc(len(own) - 1, ratio / correction)))


@dataclass(frozen=True)
class Cell:
    """One cell of a table: mean and standard deviation over training seeds."""

    mean: float  #: NaN where no run has finished.
    sd: float  #: Of the runs' scene means, with n - 1; NaN below two runs.
    n: int  #: Finished runs.


def cell(scores: ArrayLike) -> Cell:
    """Mean and spread of scores (S seeds, I scenes); a missing run is NaN for all scenes.

    Raises:
        UsageError: a run lacks some scenes, or a score is infinite.
    """
    found = effects(np.asarray(scores, dtype=float)[None])
    return Cell(float(found.means[0]), math.sqrt(found.variances[0]), int(found.seeds[0]))
