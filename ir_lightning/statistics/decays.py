"""How a loss falls: one exponential, two, a power law or a stretched exponential, plus an offset.

The curve is fitted by its means over log-spaced bins, since it creeps for most of its length. The
noise of neighbouring records is AR(1), x_t = phi x_{t-1} + e_t, since they share weights. Only the
shape (time constants, exponents) is searched, on a global grid of logarithms and then by
Nelder-Mead; for a given shape the amplitudes, which are at least zero, and the free offset have a
closed form (variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, nnls
from scipy.signal import lfilter

from ir_lightning.errors import UsageError
from ir_lightning.statistics.effects import Array

FLOAT = np.finfo(float)
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

    @property
    def rounding(self) -> float:
        """Squared rounding error of values: a floor for the residual of a perfect fit."""
        return max(float(FLOAT.eps * np.abs(self.values).max()) ** 2, float(FLOAT.tiny))

    def means(self, values: Array) -> Array:
        """Bin means of curves (..., T) on the same records: (..., B)."""
        sums = np.add.reduceat(values, self.starts, axis=-1)
        return np.asarray(sums / np.diff(np.append(self.starts, len(self.records))))

    def simulate(
        self, curve: Array, growth: float, repeats: int, random: np.random.Generator
    ) -> Array:
        """Bin means (repeats, B) of ``curve`` (T,) with fresh AR(1) noise around it.

        Where the curve is higher than in its last half, so is the noise; see :func:`noise_growth`.
        """
        shocks = np.sqrt(1 - self.phi**2) * random.standard_normal((repeats, len(curve)))
        shocks[:, 0] *= 1 / np.sqrt(1 - self.phi**2)  # starts in the stationary state
        scale = (
            self.noise * (curve / curve[len(curve) // 2 :].mean()) ** growth
            if growth
            else self.noise
        )
        return self.means(curve + scale * lfilter([1.0], [1.0, -self.phi], shocks, axis=-1))


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
        raise UsageError(f"{len(t)} points of a curve, fewer than {FEWEST}: too few to see stages.")
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


def exponential(t: Array, first: float, shape: Array) -> Array:
    """exp(-t / tau), shape (tau,)."""
    return np.exp(-(t - first) / shape[:, :1])


def power(t: Array, first: float, shape: Array) -> Array:
    """t^-b, shape (b,)."""
    return (t / first) ** -shape[:, :1]


def shifted(t: Array, first: float, shape: Array) -> Array:
    """(t + s)^-b, shape (s, b): a power law that counts from another step than the first."""
    shift, exponent = shape[:, :1], shape[:, 1:]
    return ((t + shift) / (first + shift)) ** -exponent


def stretched(t: Array, first: float, shape: Array) -> Array:
    """exp(-(t / tau)^beta), shape (tau, beta); beta = 1 is the exponential."""
    tau, beta = shape[:, :1], shape[:, 1:]
    return np.exp((first / tau) ** beta - (t / tau) ** beta)


class Model(NamedTuple):
    """``terms`` columns of one family, each with an amplitude, and an offset."""

    name: str
    column: Callable[[Array, float, Array], Array]
    """(iterations (B,), first iteration, shapes (G, q)) to columns (G, B), 1 at the first."""
    names: tuple[str, ...]  #: Of the shape of one column.
    terms: int = 1

    @property
    def parameters(self) -> int:
        """Numbers that are fitted: shapes, amplitudes, the offset."""
        return self.terms * (len(self.names) + 1) + 1


EXP1 = Model("exp1", exponential, ("tau",))
EXP2 = Model("exp2", exponential, ("tau",), terms=2)
POWER = Model("power", power, ("exponent",))
SHIFTED = Model("shifted power", shifted, ("shift", "exponent"))
STRETCHED = Model("stretched", stretched, ("tau", "beta"))
MODELS = (EXP1, EXP2, POWER, SHIFTED, STRETCHED)


@dataclass(frozen=True)
class Fit:
    """A fitted model."""

    model: Model
    shape: tuple[tuple[float, ...], ...]  #: (terms, q), rising; taus in iterations.
    amplitudes: tuple[float, ...]  #: (terms,), what each has still to lose at the first record.
    offset: float  #: The level it falls to.
    first: float  #: Iteration of the first bin.
    rss: float  #: Weighted sum of squared residuals.
    bic: float  #: n log(rss / n) + (p + 1) log n, n bins, p parameters (and the noise).

    def __call__(self, iterations: ArrayLike) -> Array:
        """The fitted curve at iterations (T,)."""
        t = np.asarray(iterations, dtype=float)
        columns = self.model.column(t, self.first, np.array(self.shape))
        return np.asarray(np.array(self.amplitudes) @ columns + self.offset)

    @property
    def taus(self) -> tuple[float, ...]:
        """First number of each term's shape: the time constants, in iterations."""
        return tuple(shape[0] for shape in self.shape)


def noise_growth(series: Series, fit: Fit) -> float:
    """Exponent g, 0 to 2, of noise whose standard deviation is in proportion to loss^g.

    The slope of log squared residuals on the log of the fitted curve (Harvey, Econometrica 44
    (1976) 461), halved. As the loss shrinks, so do gradients and what they do to it at random: the
    noise of the last half may be too little for the first one. 0 where the curve reaches zero.
    """
    level = fit(series.iterations)
    if level.min() <= 0 or np.ptp(level) <= 1e-9 * level.max():
        return 0.0
    squared = series.weights * (series.values - level) ** 2 + series.rounding
    slope = np.polynomial.Polynomial.fit(np.log(level), np.log(squared), 1).convert().coef[1]
    return float(np.clip(slope / 2, 0, 2))


class ShapeGrid:
    """Columns of one family on a grid of shapes, ready to fit many curves on the same bins."""

    def __init__(self, model: Model, series: Series) -> None:
        self.model = model
        self.series = series
        self.shapes = shapes(model, series)
        self.columns = self.whiten(self.column(self.shapes))

    def column(self, shape: Array) -> Array:
        """(G, B)."""
        times = self.series.iterations
        return self.model.column(times, float(times[0]), shape)

    def whiten(self, curves: Array) -> Array:
        """Subtract the weighted mean, which eliminates the offset, and scale to equal noise."""
        weights = self.series.weights
        centred = curves - (curves @ weights / weights.sum())[..., None]
        return np.asarray(centred * np.sqrt(weights))

    def search(self, curves: Array) -> tuple[Array, Array]:
        """Best grid point of each curve (R, B): rss (R,) and index (R, terms) into the shapes."""
        y = self.whiten(curves)
        gains, index = explained(self.columns, y, self.model.terms)
        return (y**2).sum(axis=1) - gains, index

    def fit(self) -> Fit:
        """The best fit to the series itself: the grid's best point, refined."""
        _, index = self.search(self.series.values[None])
        start = np.log(self.shapes[index[0]])
        low, high = np.log(self.shapes.min(axis=0)), np.log(self.shapes.max(axis=0))
        y = self.whiten(self.series.values[None])

        def lost(log_shape: Array) -> float:
            columns = self.whiten(self.column(np.exp(log_shape.reshape(start.shape))))
            return -float(explained(columns, y, self.model.terms)[0][0])

        bounds = list(zip(low, high, strict=True)) * len(start)
        options = {"xatol": 1e-5, "fatol": 1e-12 * float((y**2).sum()), "maxfev": 800}
        found = minimize(lost, start.ravel(), method="Nelder-Mead", bounds=bounds, options=options)
        shape = np.exp(found.x.reshape(start.shape))
        shape = shape[np.argsort(shape[:, 0])]
        raw = self.column(shape)
        values, weights = self.series.values, self.series.weights
        amplitudes, _ = nnls(self.whiten(raw).T, self.whiten(values))
        offset = float((values - amplitudes @ raw) @ weights / weights.sum())
        rss = float(weights @ (values - amplitudes @ raw - offset) ** 2)
        bic = float(self.bic(np.array(rss)))
        numbers, first = tuple(map(tuple, shape.tolist())), float(self.series.iterations[0])
        return Fit(self.model, numbers, tuple(amplitudes.tolist()), offset, first, rss, bic)

    def bic(self, rss: Array) -> Array:
        """BIC of fits with these residuals; see :class:`Fit`."""
        n, numbers = len(self.series.values), self.model.parameters + 1
        return np.asarray(n * np.log(rss / n + self.series.rounding) + numbers * np.log(n))


def explained(columns: Array, curves: Array, terms: int) -> tuple[Array, Array]:
    """Largest sum of squares that one or two columns explain with amplitudes of at least zero.

    Columns (G, B) and curves (R, B), centred and whitened, to (R,) sums and (R, terms) columns.
    """
    gram = columns @ columns.T
    dot = columns @ curves.T  # (G, R)
    diagonal = np.maximum(np.diag(gram), FLOAT.tiny)
    single = np.maximum(dot, 0) ** 2 / diagonal[:, None]
    if terms == 1:
        return single.max(axis=0), single.argmax(axis=0)[:, None]
    i, j = np.triu_indices(len(columns), 1)
    cross = gram[i, j]
    # Columns that are the same to rounding have no two amplitudes: the single one serves.
    determinant = diagonal[i] * diagonal[j] - cross**2
    safe = determinant > 1e-10 * diagonal[i] * diagonal[j]
    inverse = (safe / np.where(safe, determinant, 1.0))[:, None]
    first = (diagonal[j, None] * dot[i] - cross[:, None] * dot[j]) * inverse
    second = (diagonal[i, None] * dot[j] - cross[:, None] * dot[i]) * inverse
    both = (first > 0) & (second > 0)
    gain = np.where(both, first * dot[i] + second * dot[j], np.maximum(single[i], single[j]))
    best = gain.argmax(axis=0)
    return gain.max(axis=0), np.stack([i[best], j[best]], axis=1)


def shapes(model: Model, series: Series) -> Array:
    """The grid (G, q) of a model's shapes: taus from one record to ten windows."""
    fastest, slowest = series.spacing, 10 * series.window
    if model.column is power:
        return np.geomspace(0.02, 5, 100)[:, None]
    if model.column is exponential:
        return np.geomspace(fastest, slowest, 60 if model.terms == 2 else 240)[:, None]
    if model.column is shifted:
        axes = np.geomspace(fastest, slowest, 60), np.geomspace(0.05, 20, 40)
    else:
        # Little beta is close to a power law, whose tau may lie far before the first record.
        axes = np.geomspace(fastest * 1e-3, slowest, 60), np.linspace(0.1, 1, 19)
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
