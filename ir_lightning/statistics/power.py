"""What difference a design can see: the one that is proven in 80 % of repetitions."""

from functools import lru_cache

import numpy as np
from scipy.special import chdtri, ndtri

from ir_lightning.statistics.effects import Array, Contrasts

POWER = 0.8
DRAWS = 10_000  #: Which leave about 1 % of the result to chance; they are always the same.


def seen(contrasts: Contrasts, alpha: float = 0.05, power: float = POWER) -> Array:
    """(...) the true values whose lower limits are above 0 with probability ``power``.

    An estimate falls short of its true value by Z standard errors, and each part of its variance is
    estimated by chi^2 over its degrees of freedom: the value is a quantile of what the limit lacks.
    """
    standard, estimated = _drawn(tuple(contrasts.df.tolist()))
    lacks = [
        Contrasts(standard, part * estimated, contrasts.df).reach(alpha)
        - standard * np.sqrt(part.sum())
        for part in contrasts.parts.reshape(-1, len(contrasts.df))
    ]
    return np.asarray(np.quantile(lacks, power, axis=1).reshape(contrasts.value.shape))


@lru_cache(maxsize=64)
def _drawn(df: tuple[float, ...]) -> tuple[Array, Array]:
    """(DRAWS,) of Z and (DRAWS, P) of chi^2 over its degrees of freedom."""
    uniform = np.random.default_rng(0).random((DRAWS, 1 + len(df)))
    return ndtri(uniform[:, 0]), chdtri(np.array(df), uniform[:, 1:]) / np.array(df)


def planned(seeds: int, scenes: int, seed_sd: float, scene_sd: float, alpha: float = 0.05) -> float:
    """What a comparison of two methods will see, from what their scores are known to vary by.

    Args:
        seeds: of each method, 3 or more.
        scenes: 5 or more.
        seed_sd: between the seeds of a method.
        scene_sd: between scenes, of the difference of the methods.
        alpha: of the comparison, i.e. divided by how many are in its family.
    """
    parts = np.array([[seed_sd**2 / seeds, seed_sd**2 / seeds, scene_sd**2 / scenes]])
    df = np.array([seeds - 1, seeds - 1, scenes - 1])
    return float(seen(Contrasts(np.zeros(1), parts, df), alpha)[0])
