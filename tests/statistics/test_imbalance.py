"""Information of the discriminator, times of convergence, and vanishing gradients."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import mannwhitneyu

from ir_lightning.errors import UsageError
from ir_lightning.statistics.imbalance import (
    Time,
    auc,
    discrimination,
    imbalance,
    loss_ends,
    platt,
    t_gained,
    t_saturated,
    vanishing,
)


def gaussian(distance: float, images: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores (images, 100) of real and fake patches, ``distance`` standard deviations apart."""
    scores = np.random.default_rng(seed).standard_normal((2, images, 100))
    return scores[0] + distance, scores[1]


def information(distance: float) -> float:
    """I(label; score) of two normal distributions, bits, by integration."""
    x = np.linspace(-10, 10 + distance, 20001)
    real, fake = (np.exp(-((x - at) ** 2) / 2) / np.sqrt(2 * np.pi) for at in (distance, 0))
    odds = expit(distance * x - distance**2 / 2)
    entropy = -(odds * np.log2(odds) + (1 - odds) * np.log2(1 - odds + 1e-300))
    return 1 - float(np.trapezoid((real + fake) / 2 * entropy, x))


@pytest.mark.parametrize("distance", [0.5, 1, 2, 4])
def test_information_in_closed_form(distance: float) -> None:
    found = discrimination(*gaussian(distance))
    assert found.bits == pytest.approx(information(distance), abs=0.02)
    assert found.low < found.bits
    assert found.images == 40


def test_scores_that_say_everything_and_nothing() -> None:
    certain = discrimination(np.ones((10, 100)), np.zeros((10, 100)))
    assert 0.98 < certain.bits <= 1
    assert certain.low > 0.9
    assert certain.auc == 1
    same = gaussian(0)[0]
    nothing = discrimination(same, same)
    assert nothing.bits == pytest.approx(0, abs=1e-3)
    assert nothing.low < 1e-12
    assert nothing.auc == 0.5
    constant = discrimination(np.full((10, 9), 0.3), np.full((10, 9), 0.3))
    assert (constant.bits, constant.auc) == (0, 0.5)


def test_information_grows_with_the_distance() -> None:
    bits = [discrimination(*gaussian(distance)).bits for distance in (0, 0.3, 0.6, 1, 2, 3, 5, 8)]
    assert bits == sorted(bits)


def test_calibration_makes_units_irrelevant() -> None:
    """LSGAN's outputs lie around 0 and 1, the others' are logits, and both can be off."""
    real, fake = gaussian(1.5)
    reference = discrimination(real, fake).bits
    assert discrimination(0.1 * real + 7, 0.1 * fake + 7).bits == pytest.approx(reference)
    assert discrimination(1e4 * real, 1e4 * fake).bits == pytest.approx(reference)
    assert discrimination(-real, -fake).bits == pytest.approx(reference)


def test_calibration_never_sees_what_it_is_judged_on() -> None:
    """One score per image: a fit to the same images would find information in noise."""
    random = np.random.default_rng(0)
    trials = [discrimination(*random.standard_normal((2, 8))) for _ in range(300)]
    assert np.mean([found.bits for found in trials]) < 0
    assert np.mean([found.low > 0 for found in trials]) < 0.05


def test_the_error_is_that_between_images() -> None:
    """Patches of an image are not independent: a copy of each patch adds no certainty."""
    real, fake = gaussian(1.0)
    once, twice = discrimination(real, fake), discrimination(*(np.repeat([real, fake], 2, axis=2)))
    assert twice.low == pytest.approx(once.low, abs=1e-3)
    covered = [discrimination(*gaussian(1.0, 20, seed)).low < information(1) for seed in range(200)]
    assert 0.88 < np.mean(covered) < 0.995


def test_platt_is_the_maximum_of_the_penalised_likelihood() -> None:
    real, fake = (scores.ravel() for scores in gaussian(2.0))
    slope, intercept = platt(real, fake)
    assert slope == pytest.approx(2, rel=0.1)
    assert intercept == pytest.approx(-2, rel=0.1)
    n = len(real)
    error = np.append(expit(slope * real + intercept) - 1, expit(slope * fake + intercept))
    error += np.repeat([1 / (n + 2), -1 / (n + 2)], n)
    assert error.mean() == pytest.approx(0, abs=1e-9)
    assert error @ np.append(real, fake) / n == pytest.approx(0, abs=1e-8)


def test_auc_is_mann_whitney() -> None:
    random = np.random.default_rng(0)
    real, fake = random.integers(0, 9, 50), random.integers(0, 7, 30)  # with ties
    assert auc(real, fake) == pytest.approx(mannwhitneyu(real, fake).statistic / 1500)


def test_unusable_scores_are_refused() -> None:
    with pytest.raises(UsageError, match="3 images"):
        discrimination(np.zeros((3, 5)), np.zeros((3, 5)))
    with pytest.raises(UsageError, match="not finite"):
        discrimination(np.full((5, 5), np.inf), np.zeros((5, 5)))
    with pytest.raises(ValueError):
        discrimination(np.zeros((5, 5)), np.zeros((5, 6)))


CHECKS = [100, 200, 300, 400, 500, 600]


def test_d_is_saturated_at_the_first_of_three_checks() -> None:
    assert t_saturated(CHECKS, [0.1, 0.95, 0.8, 0.9, 0.95, 0.99]) == Time(400)
    assert t_saturated(CHECKS, [0.95, 0.9, 0.92, 0.1, 0.2, 0.3]) == Time(100)
    assert t_saturated(CHECKS, [0.95, 0.95, 0.8, 0.95, 0.95, 0.8]) == Time(600, censored=True)
    assert t_saturated(CHECKS[:2], [0.95, 0.95]) == Time(200, censored=True)


def test_g_has_converged_at_ninety_percent_of_its_gain() -> None:
    t = np.arange(1, 41) * 50
    psnr = 20 + 8 * (1 - np.exp(-t / 200))
    expected = t[np.argmax(psnr >= psnr[0] + 0.9 * (psnr[-4:].mean() - psnr[0]))]
    assert t_gained(t, psnr) == Time(expected)
    assert t_gained(t, psnr, start=20.0) == Time(500)  # 200 log 10 = 461
    assert t_gained(t, np.linspace(20, 28, 40)) == Time(2000, censored=True)  # still rising
    assert t_gained(t, np.exp(t / 200)) == Time(2000, censored=True)
    assert t_gained(t, psnr[::-1]) == Time(2000, censored=True)


def test_imbalance_counts_doublings() -> None:
    assert str(imbalance(Time(800), Time(100))) == "3.00"
    assert str(imbalance(Time(100), Time(800))) == "-3.00"
    assert str(imbalance(Time(800, censored=True), Time(100))) == ">= 3.00"
    assert str(imbalance(Time(100), Time(800, censored=True))) == "<= -3.00"
    unknown = imbalance(Time(800, censored=True), Time(800, censored=True))
    assert unknown.bound == "unknown"
    assert np.isnan(unknown.value)
    assert "neither" in str(unknown)


@pytest.mark.parametrize(
    ("end", "pixel", "verdict"),
    [
        (1e-3, 1.0, "vanishing"),
        (1e-3, 0.05, "not vanishing"),  # small, but not beside the pixel loss
        (2e-2, 10.0, "not vanishing"),  # small beside the pixel loss, but always was
        (1e-2, 1.0, "vanishing"),  # both exactly at their bounds
        (2e-2, 1.0, "not vanishing"),
        (5.0, 1.0, "not vanishing"),
        (0.0, 1.0, "vanishing"),
    ],
)
def test_a_gradient_has_vanished(end: float, pixel: float, verdict: str) -> None:
    g = np.linspace(1, end, 100)
    g[:10], g[-10:] = 1.0, end
    found = vanishing(g, np.full(100, pixel))
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(end / pixel)
    if end:
        assert found.index == pytest.approx(np.log10(end))
    assert str(found).startswith(verdict)


def test_medians_ignore_a_spike() -> None:
    g = np.ones(100)
    g[[2, 95]] = 1e6
    assert vanishing(g, np.ones(100)).index == 0


def test_unusable_gradients_are_refused() -> None:
    ones = np.ones(20)
    with pytest.raises(UsageError, match="ten or more"):
        vanishing(ones[:9], ones[:9])
    with pytest.raises(UsageError, match="finite"):
        vanishing(ones * np.nan, ones)
    for g in ((ones * 0, ones), (ones, ones * 0)):
        with pytest.raises(UsageError, match="divisor"):
            vanishing(*g)
    for wrong in ((ones, ones[:9]), (-ones, ones)):
        with pytest.raises(ValueError):
            vanishing(*wrong)


def test_unusable_curves_are_refused() -> None:
    for t in ([0, 1, 2], [1, 1, 2], [], [1, 2]):
        with pytest.raises(ValueError, match="rise from 1"):
            t_gained(t, [20.0, 21.0, 22.0])
    with pytest.raises(UsageError, match="not finite"):
        t_saturated([1, 2, 3], [0.1, np.nan, 0.2])


def test_losses_end_where_their_last_tenth_does() -> None:
    t = np.arange(100.0)
    ends = loss_ends(0.69 * np.exp(-t / 20), np.full(100, 0.69), 1 + t / 50)
    assert ends.discriminator == pytest.approx(np.exp(-t[-10:] / 20).mean())
    assert (ends.first, ends.last) == pytest.approx((1.09, 2.89))
    assert ends.growth == pytest.approx(2.89 / 1.09)
    chance = np.where(t < 50, 0.69, 0.25)  # the loss of D may change during training
    assert loss_ends(chance, chance, 1 + t).discriminator == pytest.approx(1)
    assert loss_ends(np.zeros(100), chance, 1 + t).discriminator == 1e-6  # has a logarithm


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_losses_that_do_not_compare_are_refused(wrong: float) -> None:
    good, bad = np.ones(20), np.where(np.arange(20) == 3, wrong, 1.0)
    for curves in ((bad, good, good), (good, bad, good), (good, good, bad)):
        with pytest.raises(UsageError, match="How losses end"):
            loss_ends(*curves)
    with pytest.raises(UsageError, match="ten or more"):
        loss_ends(good[:9], good[:9], good[:9])
    with pytest.raises(ValueError, match="losses"):
        loss_ends(good, good[1:], good)
