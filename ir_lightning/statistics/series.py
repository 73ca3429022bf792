"""A training curve made ready for a fit: means over log-spaced bins, and the noise around them.

A curve falls fast at first and then creeps for most of its length, so equal bins would spend nearly
all of the data on its tail. The noise of neighbouring records is correlated (they share weights);
it is described as AR(1), x_t = phi x_{t-1} + e_t.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from ir_lightning.errors import UsageError
from ir_lightning.statistics.contrasts import Array

BINS = 120
FEWEST = 40
"""Records below which neither noise nor stages can be told apart."""


@dataclass(frozen=True)
class Series:
    """A curve of T records in B bins (B <= 120: those that hold a record)."""

    records: Array  #: (T,), iterations at which a value was logged.
    starts: NDArray[np.int64]  #: (B,), index of each bin's first record.
    iterations: Array  #: (B,), mean iteration of each bin.
    values: Array  #: (B,), mean value of each bin.
    weights: Array  #: (B,), effective number of records, n / min(n, (1 + phi) / (1 - phi)).
    phi: float  #: AR(1) coefficient between records.
    noise: float  #: Standard deviation of a record.

    @property
    def window(self) -> float:
        """Iterations from the first record to the last."""
        return float(self.records[-1] - self.records[0])

    @property
    def spacing(self) -> float:
        """Mean distance of two records, in iterations."""
        return self.window / (len(self.records) - 1)

    def means(self, values: Array) -> Array:
        """Bin means of curves (..., T) on the same records: (..., B)."""
        sums = np.add.reduceat(values, self.starts, axis=-1)
        return np.asarray(sums / np.diff(np.append(self.starts, len(self.records))))

    def simulate(self, curve: Array, repeats: int, random: np.random.Generator) -> Array:
        """Bin means (repeats, B) of ``curve`` (T,) with fresh AR(1) noise around it."""
        scale = self.noise * np.sqrt(1 - self.phi**2)
        shocks = scale * random.standard_normal((repeats, len(curve)))
        shocks[:, 0] *= 1 / np.sqrt(1 - self.phi**2)  # starts in the stationary state
        return self.means(curve + lfilter([1.0], [1.0, -self.phi], shocks, axis=-1))


def binned(iterations: ArrayLike, values: ArrayLike) -> Series:
    """Bin a logged curve.

    Noise is judged on the last half of the records, around a parabola in log t: there every model
    of interest is nearly flat, so the noise is not mistaken for a poor fit.

    Args:
        iterations: (T,), rising, 1 for the first step of training; a power law counts from there.
        values: (T,), one per iteration.

    Raises:
        ValueError: shapes differ or iterations do not rise from 1 or later.
        UsageError: fewer than 40 records, or a value that is not finite.
    """
    t, y = np.asarray(iterations, dtype=float), np.asarray(values, dtype=float)
    if t.ndim != 1 or t.shape != y.shape or (np.diff(t) <= 0).any() or (t[:1] < 1).any():
        raise ValueError(f"iterations {t.shape} must rise from 1, with values {y.shape} for each")
    if len(t) < FEWEST:
        raise UsageError(f"{len(t)} records are too few to see stages: give {FEWEST} or more.")
    if not np.isfinite(y).all():
        raise UsageError("The curve has values that are not finite: cut it before it diverges.")
    edges = np.geomspace(t[0], t[-1], BINS + 1)
    starts = np.unique(np.searchsorted(t, edges[:-1] * (1 - 1e-12)))  # not beyond t[0] by rounding
    counts = np.diff(np.append(starts, len(t)))
    phi, noise = _noise(t, y)
    weights = counts / np.minimum(counts, (1 + phi) / (1 - phi))
    centre, level = (np.add.reduceat(x, starts) / counts for x in (t, y))
    return Series(t, starts, centre, level, weights, phi, noise)


def _noise(t: Array, y: Array) -> tuple[float, float]:
    """AR(1) coefficient, 0 at least, and standard deviation of the late residuals."""
    half = len(t) // 2
    x, late = np.log(t[half:]), y[half:]
    residual = late - np.polynomial.Polynomial.fit(x, late, 2)(x)
    power = float(residual @ residual)
    if power <= (1e-9 * np.abs(y).max()) ** 2 * len(late):
        return 0.0, 0.0  # rounding, no noise
    phi = float(residual[1:] @ residual[:-1]) / power
    return min(max(phi, 0.0), 0.99), float(np.sqrt(power / (len(late) - 3)))
