"""Comparisons reduce to the textbook's t tests, and cover the truth as often as they promise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import nct, ttest_ind, ttest_rel
from scipy.stats import t as student

from ir_lightning.errors import UsageError
from ir_lightning.statistics.comparison import (
    compare,
    difference,
    growth,
    holm_p,
    verdicts,
)
from ir_lightning.statistics.effects import Contrasts, cell
from ir_lightning.statistics.power import seen

RANDOM = np.random.default_rng(0)


def test_without_seed_variance_it_is_the_paired_t_test() -> None:
    a, b = RANDOM.normal(30, 2, 40), RANDOM.normal(29.5, 2, 40)
    claim = compare(np.tile(a, (3, 1)), np.tile(b, (3, 1)))
    reference = ttest_rel(a, b, alternative="greater")
    both_sides = ttest_rel(a, b).confidence_interval(0.90)
    assert claim.p == pytest.approx(reference.pvalue, rel=1e-4)
    assert (claim.low, claim.high) == pytest.approx((both_sides.low, both_sides.high))


def test_without_scene_variance_limits_are_cochrans_and_wider() -> None:
    """Each seed variance with the t of its own degrees of freedom: no narrower than Welch's."""
    a, b = (RANDOM.normal(mean, 0.1, n) for mean, n in ((30, 4), (29.9, 5)))
    scene = RANDOM.normal(0, 3, 20)
    claim = compare(a[:, None] + scene, b[:, None] + scene)
    parts = [(student.ppf(0.95, len(x) - 1), x.var(ddof=1) / len(x)) for x in (a, b)]
    reach = np.sqrt(sum(t**2 * part for t, part in parts))
    assert claim.high - claim.estimate == pytest.approx(reach)
    welch = ttest_ind(a, b, equal_var=False).confidence_interval(0.90)
    assert claim.low < welch.low < welch.high < claim.high


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
    assert "1 seed of a cell" in str(claim)


def test_missing_runs_are_left_out() -> None:
    a, b = RANDOM.normal(30, 1, (4, 20)), RANDOM.normal(29, 1, (3, 20))
    missing = np.vstack([a, np.full(20, np.nan)])
    assert compare(missing, b) == compare(a, b)


def test_other_images_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="20 and 21 scenes"):
        compare(np.zeros((2, 20)), np.zeros((2, 21)))
    with pytest.raises(ValueError, match="seeds, scenes"):
        compare(np.zeros(20), np.zeros(20))


def test_paired_by_seed_it_is_the_paired_t_test_over_seeds() -> None:
    start = RANDOM.normal(30, 2, 6)
    a, b = start + RANDOM.normal(0.1, 0.1, 6), start + RANDOM.normal(0, 0.1, 6)
    scene = RANDOM.normal(0, 3, 20)
    claim = compare(a[:, None] + scene, b[:, None] + scene, paired=True)
    assert claim.p == pytest.approx(ttest_rel(a, b, alternative="greater").pvalue, rel=1e-4)
    assert compare(a[:, None] + scene, b[:, None] + scene).p > claim.p


def test_a_missing_run_takes_its_pair_out() -> None:
    a, b = RANDOM.normal(30, 1, (4, 20)), RANDOM.normal(30, 1, (4, 20))
    gap = np.full((1, 20), np.nan)
    whole = compare(a, b, paired=True)
    holes = compare(np.vstack([a, gap]), np.vstack([b, b[:1]]), paired=True)
    assert holes.p == pytest.approx(whole.p)


@pytest.mark.parametrize("paired", [False, True])
def test_two_seeds_decide_nothing(paired: bool) -> None:
    a, b = RANDOM.normal(40, 0.1, (2, 30)), RANDOM.normal(20, 0.1, (2, 30))
    claim = compare(a, b, paired=paired)
    assert (claim.verdict, claim.reason) == (
        "undecided",
        "2 seeds of a cell: a verdict takes at least 3",
    )


def test_pairs_need_as_many_seeds() -> None:
    with pytest.raises(ValueError, match="4 and 3 seeds"):
        compare(np.zeros((4, 9)), np.zeros((3, 9)), paired=True)


@pytest.mark.parametrize("scenes", [1, 2, 4])
def test_few_scenes_decide_nothing(scenes: int) -> None:
    a, b = RANDOM.normal(40, 0.1, (5, scenes)), RANDOM.normal(20, 0.1, (5, scenes))
    claim = compare(a, b)
    assert claim.verdict == "undecided"
    assert claim.reason.startswith(f"{scenes} scene")


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [(0.0, "supported"), (0.15, "undecided"), (-0.15, "undecided"), (0.4, "not supported")],
)
def test_equivalence_takes_both_sides(gap: float, verdict: str) -> None:
    """Schuirmann's two one-sided tests: that of the nearer bound decides."""
    noise = np.random.default_rng(3).normal(0, 0.35, (2, 4, 60))
    noise -= noise.mean(axis=(1, 2), keepdims=True)
    one_sided = difference(30 + gap + noise[0], 30 + noise[1], -0.2)
    (judged,) = verdicts([replace(one_sided, margin=0.2, both=True)])
    other = difference(30 + noise[1], 30 + gap + noise[0], -0.2)
    assert judged.p == pytest.approx(max(one_sided.p, other.p))
    assert judged.verdict == verdict
    assert judged.low < gap < judged.high


def test_growth_is_its_smallest_step() -> None:
    layers = [0.0, 1.0, 3.0, 5.0]
    steps = np.array([0.0, 1.0, 2.0, 2.4])  # 1, 0.5 and 0.2 a layer
    scores = np.random.default_rng(2).normal(0, 0.02, (4, 3, 30)) + steps[:, None, None]
    (claim,) = verdicts([growth(scores, layers)])
    assert claim.estimate == pytest.approx(0.2, abs=0.02)
    assert claim.verdict == "supported"
    assert claim.low < 0.2 < claim.high
    assert verdicts([growth(scores, layers, margin=0.3)])[0].verdict == "not supported"
    assert verdicts([growth(scores[::-1], layers)])[0].verdict == "not supported"
    scores[3] = scores[2]  # one step of nothing, and it is no growth
    assert verdicts([growth(scores, layers)])[0].verdict == "undecided"


def test_growth_needs_a_factor_that_rises() -> None:
    scores = np.zeros((3, 2, 4))
    for factor in ([1.0, 2.0], [1.0, 1.0, 1.0], [3.0, 2.0, 1.0]):
        with pytest.raises(ValueError, match="levels of scores"):
            growth(scores, factor)


def test_holms_adjusted_p() -> None:
    """As worked out by hand: 3 x 0.01, 2 x 0.02, and no less than the one before."""
    assert holm_p(np.array([0.04, 0.01, 0.02])) == pytest.approx([0.04, 0.03, 0.04])
    assert holm_p(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])


def test_a_family_is_judged_together() -> None:
    """A p of 0.02 supports a claim by itself, and not as the best of 24."""
    noise = np.random.default_rng(7).normal(0, 1, (24, 2, 5, 60))
    evidence = [difference(a, b) for a, b in noise]
    best = min(evidence, key=lambda each: each.p)
    assert best.p < 0.05
    together = verdicts(evidence)
    assert {judged.verdict for judged in together} == {"undecided"}
    (alone,) = verdicts([best])
    assert alone.verdict == "supported"
    judged = together[evidence.index(best)]
    assert judged.low < alone.low
    assert judged.raw_p == alone.p
    assert "among 24" in judged.reason


def test_what_cannot_be_judged_counts_to_a_family() -> None:
    """Whether it can be judged may depend on the scores: a network is trained, or just not."""
    a, b = RANDOM.normal(30, 1, (2, 4, 40))
    alone, gap = difference(a, b), difference(a[:, :2], b[:, :2])
    with_gaps = verdicts([alone, gap, gap])
    assert with_gaps[0].p == pytest.approx(min(1, 3 * verdicts([alone])[0].p))
    assert [each.verdict for each in with_gaps[1:]] == ["undecided"] * 2


def test_equivalence_sees_what_is_within_the_margin() -> None:
    """The largest difference that is called equivalent in 80 % of repetitions, or none."""
    random, sees, found = np.random.default_rng(3), [], 0
    for _ in range(300):
        a, b = random.normal(0, 0.05, (2, 5, 1)) + random.normal(0, 0.2, (2, 1, 60))
        known = replace(difference(a, b), margin=0.3, both=True)
        sees.append(known.sees(0.05))
        shifted = difference(a + np.nanmedian(sees[:1]), b)
        found += verdicts([replace(shifted, margin=0.3, both=True)])[0].verdict == "supported"
    assert 0 < np.median(sees) < 0.3
    assert found / 300 > 0.5
    wide = replace(difference(*(5 * random.normal(0, 1, (2, 3, 9)))), margin=0.01, both=True)
    assert np.isnan(wide.sees(0.05))


@pytest.mark.parametrize(("df", "alpha"), [(3.0, 0.05), (17.5, 0.05), (200.0, 0.002)])
def test_power_is_that_of_the_noncentral_t(df: float, alpha: float) -> None:
    one = Contrasts(np.zeros(1), np.array([[0.25]]), np.array([df]))
    critical = nct.ppf(1 - alpha, df, 0)
    assert nct.sf(critical, df, seen(one, alpha)[0] / 0.5) == pytest.approx(0.8, abs=0.01)


def test_a_cell_of_a_table() -> None:
    scores = RANDOM.normal(30, 1, (3, 20))
    found = cell(np.vstack([scores, np.full(20, np.nan)]))
    runs = scores.mean(axis=1)
    assert (found.mean, found.sd, found.n) == pytest.approx((runs.mean(), runs.std(ddof=1), 3))
    single = cell(scores[:1])
    assert single.n == 1
    assert np.isnan(single.sd)
    assert cell(np.full((2, 20), np.nan)).n == 0
