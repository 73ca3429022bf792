"""Comparisons reduce to the textbook's t tests, and cover the truth as often as they promise."""

import numpy as np
import pytest
from scipy.stats import linregress, ttest_ind, ttest_rel

from ir_lightning.errors import UsageError
from ir_lightning.statistics.comparison import cell, compare, trend

RANDOM = np.random.default_rng(0)


def test_without_seed_variance_it_is_the_paired_t_test() -> None:
    a, b = RANDOM.normal(30, 2, 40), RANDOM.normal(29.5, 2, 40)
    claim = compare(np.tile(a, (3, 1)), np.tile(b, (3, 1)))
    reference = ttest_rel(a, b, alternative="greater")
    both_sides = ttest_rel(a, b).confidence_interval(0.90)
    assert claim.df == pytest.approx(39)
    assert claim.p == pytest.approx(reference.pvalue)
    assert (claim.low, claim.high) == pytest.approx((both_sides.low, both_sides.high))


@pytest.mark.parametrize("seeds", [(5, 5), (3, 5)])
def test_without_image_variance_it_is_the_two_sample_t_test(seeds: tuple[int, int]) -> None:
    a, b = (RANDOM.normal(mean, 0.1, n) for mean, n in zip((30, 29.9), seeds, strict=True))
    image = RANDOM.normal(0, 3, 20)
    claim = compare(a[:, None] + image, b[:, None] + image)
    reference = ttest_ind(a, b, alternative="greater")
    both_sides = ttest_ind(a, b).confidence_interval(0.90)
    assert claim.df == pytest.approx(sum(seeds) - 2)
    assert claim.p == pytest.approx(reference.pvalue)
    assert (claim.low, claim.high) == pytest.approx((both_sides.low, both_sides.high))


@pytest.mark.slow
def test_the_interval_covers_the_truth_and_one_without_seeds_does_not() -> None:
    """2000 comparisons of methods that differ by 0.3 dB, 3 seeds, 50 images."""
    random = np.random.default_rng(1)
    covered = naive = 0
    for _ in range(2000):
        y = (
            np.array([0.3, 0.0])[:, None, None]
            + random.normal(0, 0.1, (2, 3, 1))
            + random.normal(0, 2, (1, 1, 50))
            + random.normal(0, 0.4, (2, 1, 50))
            + random.normal(0, 0.2, (2, 3, 50))
        )
        claim = compare(*y)
        covered += claim.low <= 0.3 <= claim.high
        images = ttest_rel(*y.mean(axis=1)).confidence_interval(0.90)
        naive += images.low <= 0.3 <= images.high
    assert 0.88 < covered / 2000 < 0.96  # nominal 0.90; 3 binomial standard errors are 0.02
    assert naive / 2000 < 0.80


@pytest.mark.parametrize(
    ("gain", "margin", "verdict"),
    [
        (1.0, 0.5, "supported"),
        (1.0, 1.5, "not supported"),
        (1.0, 1.0, "undecided"),
        (-1.0, 0.0, "not supported"),
    ],
)
def test_a_claim_and_its_margin(gain: float, margin: float, verdict: str) -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, (2, 4, 60))
    noise -= noise.mean(axis=(1, 2), keepdims=True)
    claim = compare(30 + gain + noise[0], 30 + noise[1], margin)
    assert claim.verdict == verdict
    assert claim.estimate == pytest.approx(gain)
    assert (claim.low > margin) == (verdict == "supported")
    assert (claim.high < margin) == (verdict == "not supported")
    assert str(claim).startswith(f"{verdict}: ")
    assert verdict not in claim.reason


def test_one_seed_decides_nothing() -> None:
    a, b = RANDOM.normal(40, 1, (1, 50)), RANDOM.normal(20, 1, (1, 50))
    claim = compare(a, b)
    assert claim.verdict == "undecided"
    assert claim.estimate == pytest.approx(a.mean() - b.mean())
    assert np.isnan([claim.low, claim.high, claim.p]).all()
    assert "two training seeds" in str(claim)


def test_missing_runs_are_left_out() -> None:
    a, b = RANDOM.normal(30, 1, (4, 20)), RANDOM.normal(29, 1, (3, 20))
    missing = np.vstack([a, np.full(20, np.nan)])
    assert compare(missing, b) == compare(a, b)


def test_other_images_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="20 and 21 images"):
        compare(np.zeros((2, 20)), np.zeros((2, 21)))
    with pytest.raises(ValueError, match="seeds, images"):
        compare(np.zeros(20), np.zeros(20))


def test_a_trend_is_the_slope_of_the_line() -> None:
    layers = [1.0, 3.0, 5.0, 15.0]
    scores = RANDOM.normal(25, 0.1, (4, 3, 30)) + 0.05 * np.array(layers)[:, None, None]
    claim = trend(scores, layers)
    line = linregress(layers, scores.mean(axis=(1, 2)))
    assert claim.estimate == pytest.approx(line.slope)
    assert claim.verdict == "supported"
    assert trend(scores, layers, margin=0.1).verdict == "not supported"
    assert trend(scores[::-1], layers).verdict == "not supported"


def test_a_trend_without_image_variance_is_analysis_of_variance() -> None:
    """The linear contrast of a one-way layout: error from within levels, K (S - 1) df."""
    x = np.array([0.0, 1.0, 2.0])
    runs = RANDOM.normal(0, 0.1, (3, 4)) + 0.05 * x[:, None]
    claim = trend(runs[:, :, None] + RANDOM.normal(0, 2, 15), x)
    within = runs.var(axis=1, ddof=1).mean()
    assert claim.df == pytest.approx(9)
    assert claim.standard_error == pytest.approx(np.sqrt(within / 4 / 2))  # sum (x - 1)^2 = 2


def test_a_trend_where_there_is_none_is_seldom_found() -> None:
    random = np.random.default_rng(5)
    found = 0
    for _ in range(1000):
        run, image = random.normal(0, 0.1, (5, 3, 1)), random.normal(0, 0.3, (5, 1, 40))
        found += trend(run + image).verdict == "supported"
    assert found / 1000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_a_trend_needs_a_factor_that_varies() -> None:
    scores = np.zeros((3, 2, 4))
    for factor in ([1.0, 2.0], [1.0, 1.0, 1.0]):
        with pytest.raises(ValueError, match="levels of scores"):
            trend(scores, factor)


def test_a_cell_of_a_table() -> None:
    scores = RANDOM.normal(30, 1, (3, 20))
    found = cell(np.vstack([scores, np.full(20, np.nan)]))
    runs = scores.mean(axis=1)
    assert (found.mean, found.sd, found.n) == pytest.approx((runs.mean(), runs.std(ddof=1), 3))
    single = cell(scores[:1])
    assert single.n == 1
    assert np.isnan(single.sd)
    assert cell(np.full((2, 20), np.nan)).n == 0
