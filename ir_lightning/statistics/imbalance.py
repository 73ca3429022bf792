"""Whether discriminator and generator train in balance, as numbers instead of loss curves.

A discriminator loss near zero beside a large generator loss (arXiv 2212.02198, section VI.3) is no
vanishing gradient for the non-saturating loss: its gradient is then largest. So vanishing is
measured as a gradient, and saturation of D as the information of its scores about "real or fake":

    J_D = 1 - CE <= I(label; score) <= JSD(real, fake)

CE is the cross-entropy of scores on images that calibration has not seen. Outputs of LSGAN are no
logits, but Platt's map ("Probabilistic outputs for support vector machines", 1999) makes them so.
The bound holds for the mean over images; a finite set estimates it with the error given.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, stdtrit
from scipy.stats import rankdata

from ir_lightning.errors import UsageError
from ir_lightning.statistics.effects import Array

FOLDS = 2
STEPS = 50  # of Newton's method; ten are usual
SATURATED = 0.9  #: Bits that D has to extract to count as saturated, out of one.
CHECKS = 3  #: Consecutive checks at which it has to.
GAINED = 0.9  #: Share of the validation gain after which G counts as converged.
SMALLEST = 1e-6  # share of chance that D's loss counts as, if it is less: a logarithm is taken
NU, RATIO = -2.0, 0.01  # vanishing index and gradient ratio at which a gradient has vanished


@dataclass(frozen=True)
class Discrimination:
    """How well D tells real from fake."""

    bits: float  #: J_D, at most 1; a little below 0 is 0 with the error of calibration.
    low: float  #: Lower limit of J_D, missed with probability alpha; the error is between images.
    auc: float  #: P(score of a real patch > of a fake one), ties half: 0.5 is chance, 1 perfect.
    images: int


def discrimination(real: ArrayLike, fake: ArrayLike, alpha: float = 0.05) -> Discrimination:
    """Measure D's scores on held-out images.

    Two folds, the even and the odd images: each is scored with the calibration of the other. Real
    and fake weigh the same.

    Args:
        real, fake: (I, ...) scores D(x, y) and D(x, G(x)) of the patches of the same I >= 4 images.
        alpha: of the lower limit.

    Raises:
        ValueError: shapes differ.
        UsageError: fewer than four images, or a score that is not finite.
    """
    scores = np.stack([np.asarray(part, dtype=float) for part in (real, fake)], axis=1)
    images = len(scores)
    scores = scores.reshape(images, 2, -1)
    if images < 2 * FOLDS:
        raise UsageError(f"{images} images are too few to measure D: give {2 * FOLDS} or more.")
    if not np.isfinite(scores).all():
        raise UsageError("D has scores that are not finite.")
    bits = np.empty(images)
    sign = np.array([-1.0, 1.0])[:, None]  # of the logit that errs, real first
    for fold in range(FOLDS):
        tested = np.arange(images) % FOLDS == fold
        slope, intercept = platt(scores[~tested, 0].ravel(), scores[~tested, 1].ravel())
        entropy = np.logaddexp(0, sign * (slope * scores[tested] + intercept))
        bits[tested] = 1 - entropy.mean(axis=(1, 2)) / np.log(2)
    error = bits.std(ddof=1) / np.sqrt(images)
    low = bits.mean() - stdtrit(images - 1, 1 - alpha) * error
    return Discrimination(float(bits.mean()), float(low), auc(scores[:, 0], scores[:, 1]), images)


def auc(real: ArrayLike, fake: ArrayLike) -> float:
    """Area under the ROC curve: Mann and Whitney's U over the number of pairs."""
    r, f = np.ravel(real), np.ravel(fake)
    ranks = rankdata(np.concatenate([r, f]))[: len(r)]
    return float((ranks.sum() - len(r) * (len(r) + 1) / 2) / (len(r) * len(f)))


def platt(real: Array, fake: Array) -> tuple[float, float]:
    """Slope and intercept of log odds = slope * score + intercept, by Newton's method.

    Platt's targets, (n + 1) / (n + 2) and 1 / (n + 2), keep the slope finite.
    """
    scores = np.concatenate([real, fake])
    target = np.repeat([1 - 1 / (len(real) + 2), 1 / (len(fake) + 2)], [len(real), len(fake)])
    centre, scale = scores.mean(), scores.std()
    if scale <= 1e-12 * max(1.0, float(np.abs(scores).max())):
        return 0.0, 0.0  # all the same: they say nothing
    design = np.stack([(scores - centre) / scale, np.ones(len(scores))])

    def loss(at: Array) -> float:
        logit = at @ design
        return float((np.logaddexp(0, logit) - target * logit).mean())

    theta = np.zeros(2)
    for _ in range(STEPS):
        p = expit(theta @ design)
        gradient = design @ (p - target) / len(target)
        hessian = (design * (p * (1 - p))) @ design.T / len(target) + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        while loss(theta - step) > loss(theta) and np.abs(step).max() > 1e-10:
            step /= 2
        theta = theta - step
        if np.abs(step).max() < 1e-8:
            break
    slope = theta[0] / scale
    return float(slope), float(theta[1] - slope * centre)


class Time(NamedTuple):
    """When something happened; ``censored`` if it had not by ``iteration``, the last check."""

    iteration: float
    censored: bool = False


@dataclass(frozen=True)
class Imbalance:
    """B = log2(t_90(G) / t_sat(D)): how many doublings D is ahead of G."""

    value: float  #: NaN when both times are censored.
    bound: Literal["equal", "at least", "at most", "unknown"]  #: What ``value`` is to B.

    def __str__(self) -> str:
        if self.bound == "unknown":
            return "unknown: neither D nor G had converged"
        return {"equal": "", "at least": ">= ", "at most": "<= "}[self.bound] + f"{self.value:.2f}"


@dataclass(frozen=True)
class Vanishing:
    """The verdict on the generator's adversarial gradient."""

    index: float  #: nu = log10(median of the last tenth / median of the first tenth of g_adv).
    ratio: float  #: r = g_adv / g_1, median of the last tenth.
    verdict: Literal["vanishing", "not vanishing"]

    def __str__(self) -> str:
        return f"{self.verdict}: nu = {self.index:.2f}, r = {self.ratio:.2g}"


def t_saturated(iterations: ArrayLike, lower_limits: ArrayLike) -> Time:
    """t_sat(D): the first of three checks (C,) in a row with a lower limit of J_D of 0.9 bits."""
    t, low = _curve(iterations, lower_limits)
    for i in range(len(t) - CHECKS + 1):
        if (low[i : i + CHECKS] >= SATURATED).all():
            return Time(float(t[i]))
    return Time(float(t[-1]), censored=True)


def t_gained(iterations: ArrayLike, psnr: ArrayLike, start: float | None = None) -> Time:
    """t_90(G): the first check with 90 % of the gain in validation PSNR.

    The gain counts up to the mean of the last tenth of the checks. If the 90 % are only reached in
    the last fifth, or nothing was gained, G had not converged and the time is censored.

    Args:
        iterations: (C,), of the checks, rising from 1 or later.
        psnr: (C,), dB.
        start: PSNR before training, dB; that of the first check if None.
    """
    t, y = _curve(iterations, psnr)
    begin, end = (float(y[0]) if start is None else start), float(y[-max(1, len(y) // 10) :].mean())
    reached = np.flatnonzero(y >= begin + GAINED * (end - begin))
    if not end > begin or reached[0] >= len(t) - max(1, len(t) // 5):
        return Time(float(t[-1]), censored=True)
    return Time(float(t[reached[0]]))


def imbalance(generator: Time, discriminator: Time) -> Imbalance:
    """B from t_90(G) and t_sat(D); positive if D saturates before G has converged."""
    if generator.censored and discriminator.censored:
        return Imbalance(math.nan, "unknown")
    value = math.log2(generator.iteration / discriminator.iteration)
    if generator.censored:
        return Imbalance(value, "at least")
    return Imbalance(value, "at most" if discriminator.censored else "equal")


def vanishing(g_adversarial: ArrayLike, g_pixel: ArrayLike) -> Vanishing:
    """Judge gradient norms at the generator's output, logged along the training.

    "Vanishing" if, and only if, nu <= -2 (it fell a hundredfold) AND r <= 0.01 at the end.

    Args:
        g_adversarial: (T,), ``|d L_adv / d restored|``.
        g_pixel: (T,), ``|d lambda L1 / d restored|``, of the same batches.

    Raises:
        ValueError: shapes differ or a norm is negative.
        UsageError: fewer than ten records, norms that are not finite, or a zero as a divisor.
    """
    adversarial, pixel = (np.asarray(g, dtype=float) for g in (g_adversarial, g_pixel))
    if adversarial.ndim != 1 or adversarial.shape != pixel.shape or (adversarial < 0).any():
        raise ValueError(f"gradient norms {adversarial.shape} and {pixel.shape}")
    tenth = len(adversarial) // 10
    if tenth < 1 or not (np.isfinite(adversarial).all() and np.isfinite(pixel).all()):
        raise UsageError("Vanishing needs ten or more records of finite gradient norms.")
    first, last = (float(np.median(g)) for g in (adversarial[:tenth], adversarial[-tenth:]))
    if first == 0 or not (pixel[-tenth:] > 0).all():
        raise UsageError("A gradient norm is zero where it is a divisor: at the start, or of L1.")
    index = math.log10(last / first) if last > 0 else -math.inf
    ratio = float(np.median(adversarial[-tenth:] / pixel[-tenth:]))
    gone = index <= NU and ratio <= RATIO
    return Vanishing(index, ratio, "vanishing" if gone else "not vanishing")


@dataclass(frozen=True)
class LossEnds:
    """Where the adversarial losses of one training end, as section VI.3 speaks of them."""

    discriminator: float
    """D's loss in the last tenth, as a share of its loss at chance; a millionth at least."""
    first: float  #: G's adversarial loss in the first tenth.
    last: float  #: The same in the last tenth.

    @property
    def growth(self) -> float:
        """How many times G's adversarial loss has become what it was."""
        return self.last / self.first


def loss_ends(discriminator: ArrayLike, chance: ArrayLike, adversarial: ArrayLike) -> LossEnds:
    """Means of the first and the last tenth of the records of one training.

    Args:
        discriminator: (T,), D's loss.
        chance: (T,), what it is when D knows nothing.
        adversarial: (T,), G's adversarial loss.

    Raises:
        ValueError: shapes differ.
        UsageError: fewer than ten records, or a loss that is not finite, negative or (but for D's)
            zero.
    """
    curves = [np.asarray(curve, dtype=float) for curve in (discriminator, chance, adversarial)]
    if curves[0].ndim != 1 or len({curve.shape for curve in curves}) > 1:
        raise ValueError(f"losses {[curve.shape for curve in curves]}")
    tenth = len(curves[0]) // 10
    d, at_chance, g = curves
    if tenth < 1 or not all(np.isfinite(curve).all() for curve in curves):
        raise UsageError("How losses end takes ten or more records of finite losses.")
    if (d < 0).any() or (at_chance <= 0).any() or (g <= 0).any():
        raise UsageError("How losses end can be said of positive losses only.")
    share = float((d[-tenth:] / at_chance[-tenth:]).mean())
    return LossEnds(max(share, SMALLEST), float(g[:tenth].mean()), float(g[-tenth:].mean()))


def _curve(iterations: ArrayLike, values: ArrayLike) -> tuple[Array, Array]:
    t, y = np.asarray(iterations, dtype=float), np.asarray(values, dtype=float)
    if t.ndim != 1 or t.shape != y.shape or not len(t) or t[0] < 1 or (np.diff(t) <= 0).any():
        raise ValueError(f"iterations {t.shape} must rise from 1, with values {y.shape} for each")
    if not np.isfinite(y).all():
        raise UsageError("A check has a value that is not finite.")
    return t, y
