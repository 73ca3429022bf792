"""What a discriminator knows: the information of its scores about "real or fake", in bits.

    J_D = 1 - CE <= I(label; score) <= JSD(real, fake)

CE is the cross-entropy of calibrated scores on images that calibration has not seen. It does not
matter what the scores were trained as: outputs of LSGAN are no logits, but Platt's map (Platt,
"Probabilistic outputs for support vector machines", 1999) makes them so. The bound holds for the
mean over images; a finite set estimates it with the error given.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, stdtrit
from scipy.stats import rankdata

from ir_lightning.errors import UsageError
from ir_lightning.statistics.contrasts import Array

FOLDS = 2
STEPS = 50  # of Newton's method; ten are usual


@dataclass(frozen=True)
class Discrimination:
    """How well D tells real from fake."""

    bits: float  #: J_D, at most 1; a little below 0 is 0 with the error of calibration.
    low: float  #: Lower limit of J_D, missed with probability alpha; the error is between images.
    auc: float  #: P(score of a real patch > of a fake one), ties half: 0.5 is chance, 1 perfect.
    images: int


def discrimination(real: ArrayLike, fake: ArrayLike, alpha: float = 0.05) -> Discrimination:
    """Measure D's scores on held-out images.

    Two folds, the even and the odd images: each is scored with the calibration of the other, real
    and fake of one image always in the same fold. Real and fake weigh the same.

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
    for fold in range(FOLDS):
        tested = np.arange(images) % FOLDS == fold
        slope, intercept = platt(scores[~tested, 0].ravel(), scores[~tested, 1].ravel())
        bits[tested] = 1 - _cross_entropy(slope * scores[tested] + intercept)
    error = bits.std(ddof=1) / np.sqrt(images)
    low = bits.mean() - stdtrit(images - 1, 1 - alpha) * error
    return Discrimination(float(bits.mean()), float(low), auc(scores[:, 0], scores[:, 1]), images)


def auc(real: ArrayLike, fake: ArrayLike) -> float:
    """Area under the ROC curve: Mann and Whitney's U over the number of pairs."""
    r, f = np.ravel(real), np.ravel(fake)
    ranks = rankdata(np.concatenate([r, f]))[: len(r)]
    return float((ranks.sum() - len(r) * (len(r) + 1) / 2) / (len(r) * len(f)))


def platt(real: Array, fake: Array) -> tuple[float, float]:
    """Slope and intercept of log odds = slope * score + intercept, by penalised likelihood.

    Platt's targets, (n + 1) / (n + 2) and 1 / (n + 2), keep separable scores from an infinite
    slope. The loss is convex; Newton's method with halved steps.
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


def _cross_entropy(logit: Array) -> Array:
    """Bits per patch of each image; logits (I, 2, P), real first."""
    sign = np.array([-1.0, 1.0])[:, None]
    return np.asarray(np.logaddexp(0, sign * logit).mean(axis=(1, 2)) / np.log(2))
