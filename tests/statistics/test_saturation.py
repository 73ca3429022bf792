"""The saturation rule keeps its error rate on every kind of curve; simpler rules do not.

Each rate comes from SWEEPS simulated sweeps of eight depths: seed SD 0.08 dB, five seeds, 300
images. A true rate of 0.05 stays under LIMIT with probability 0.999 (three binomial standard
errors).
"""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ir_lightning.errors import UsageError
from ir_lightning.statistics.comparison import holm
from ir_lightning.statistics.saturation import Saturation, saturation

pytestmark = pytest.mark.slow

SWEEPS = 1500
MARGIN = 0.2
LIMIT = 0.05 + 3 * np.sqrt(0.05 * 0.95 / SWEEPS)  # 0.067

FLAT = [0.0] * 8
PLATEAU = [-2, -1, -0.2, 0, 0, 0, 0, 0]  # depth 3 is worse by exactly the margin
RISING = [-3, -1.5, -0.8, -0.3, 0, 0, 0, 0]
CREEPING = [-1.4, -0.9, -0.7, -0.5, -0.3, -0.2, -0.1, 0]
PEAK = [-1, -0.2, 0, -0.3, -0.6, -1, -1.4, -2]
SHALLOW_PEAK = [-2, -1, -0.2, 0, -0.05, -0.1, -0.12, -0.14]


def enough(curve: list[float]) -> int:
    """The true N_saturated: the smallest depth that loses less than the margin."""
    return 1 + int(np.argmax(np.array(curve) > max(curve) - MARGIN + 1e-9))


def sweeps(
    curve: list[float],
    count: int = SWEEPS,
    *,
    seeds: int = 5,
    images: int = 300,
    seed_sd: float = 0.08,
) -> Iterator[np.ndarray]:
    """Simulated scores (8, seeds, images) around a true curve, dB.

    Images differ by 2 dB, prefer one depth or another by 0.3 dB, and one run or another by 0.3 dB.
    """
    random = np.random.default_rng(7)
    means = np.array(curve)[:, None, None]
    for _ in range(count):
        run = seed_sd * random.standard_normal((8, seeds, 1))
        image = 2 * random.standard_normal(images) + 0.3 * random.standard_normal((8, 1, images))
        yield 28 + means + run + image + 0.3 * random.standard_normal((8, seeds, images))


def naive(scores: np.ndarray) -> int:
    """The rule of the eye: the first depth whose mean is within the margin of the best."""
    means = scores.mean(axis=(1, 2))
    return 1 + int(np.argmax(means > means.max() - MARGIN))


def rate(of: Callable[[Saturation], bool], verdicts: list[Saturation]) -> float:
    return float(np.mean([of(verdict) for verdict in verdicts]))


@pytest.mark.parametrize(
    "curve",
    [FLAT, PLATEAU, CREEPING, PEAK, SHALLOW_PEAK],
    ids=["flat", "plateau", "creeping", "peak", "shallow peak"],
)
def test_too_small_a_depth_is_seldom_declared(curve: list[float]) -> None:
    true = enough(curve)
    verdicts, by_eye = [], 0
    for scores in sweeps(curve):
        verdicts.append(saturation(scores))
        by_eye += naive(scores) < true
    assert rate(lambda v: v.upper is not None and v.upper < true, verdicts) < LIMIT
    assert rate(lambda v: v.lower is not None and v.lower > true, verdicts) < LIMIT
    # Where every depth is enough, no rule can choose one that is too small.
    assert curve == FLAT or by_eye / SWEEPS > 2 * LIMIT


def test_on_a_shallow_peak_the_deepest_is_the_wrong_reference() -> None:
    """Why every deeper network is a rival: 0.38 instead of 0.05, and fewer right answers."""
    true, count = enough(SHALLOW_PEAK), 300
    verdicts: dict[str, list[Saturation]] = {"deeper": [], "deepest": []}
    for scores in sweeps(SHALLOW_PEAK, count, seeds=3, seed_sd=0.03):
        verdicts["deeper"].append(saturation(scores))
        verdicts["deepest"].append(saturation(scores, against="deepest"))
    assert rate(lambda v: (v.upper or 9) < true, verdicts["deepest"]) > 0.25
    assert rate(lambda v: (v.upper or 9) < true, verdicts["deeper"]) < 0.09
    assert rate(lambda v: v.upper == true, verdicts["deeper"]) > 0.9


@pytest.mark.parametrize(
    ("curve", "design", "low", "high"),
    [
        (PLATEAU, {}, 0.66, 0.86),
        (RISING, {}, 0.73, 0.93),
        (PEAK, {}, 0.95, 1.0),
        (PLATEAU, {"seeds": 3, "images": 100}, 0.05, 0.3),
        (PLATEAU, {"seed_sd": 0.25}, 0.0, 0.1),
    ],
)
def test_the_power_of_the_design(
    curve: list[float], design: dict[str, float], low: float, high: float
) -> None:
    """Exactly the true depth: 0.76, 0.83, 0.99 with five seeds; 0.16 with three; 0.01."""
    verdicts = [saturation(scores) for scores in sweeps(curve, 300, **design)]  # type: ignore[arg-type]
    assert low <= rate(lambda v: v.upper == enough(curve), verdicts) <= high


def test_a_plateau_against_the_deepest_has_the_power_of_the_plan() -> None:
    verdicts = [saturation(s, against="deepest") for s in sweeps(PLATEAU, 300)]
    assert 0.74 < rate(lambda v: v.upper == 4, verdicts) < 0.9


def test_an_unresolved_sweep_says_how_many_seeds_it_needs() -> None:
    scores = next(sweeps(PLATEAU, 1, seeds=4, seed_sd=0.25))
    verdict = saturation(scores)
    assert not verdict.resolved
    assert verdict.harm is None
    assert verdict.seeds_needed is not None
    assert 15 < verdict.seeds_needed < 80  # 2 * 0.25^2 / (0.2 / 3.3)^2 = 34, were it known
    assert str(verdict).startswith(f"Unresolved: SE = {verdict.standard_error:.3f} dB")
    assert f"{verdict.seeds_needed} seeds" in str(verdict)
    needed = sweeps(PLATEAU, 20, seeds=verdict.seeds_needed, seed_sd=0.25)
    assert np.mean([saturation(scores).resolved for scores in needed]) > 0.8


def test_where_scenes_are_too_few_seeds_do_not_help() -> None:
    verdict = saturation(next(sweeps(PLATEAU, 1, images=12)))
    assert not verdict.resolved
    assert verdict.seeds_needed is None
    assert verdict.scenes_needed is not None
    assert verdict.scenes_needed > 40
    assert "scenes" in str(verdict)


def test_a_peak_costs_those_who_go_on() -> None:
    verdicts = [saturation(scores) for scores in sweeps(PEAK, 100)]
    assert rate(lambda v: v.branch == "peak", verdicts) > 0.98
    harms = [verdict.harm for verdict in verdicts if verdict.harm]
    assert np.mean([harm.p_any < 0.05 and harm.p_margin < 0.05 for harm in harms]) > 0.99
    assert np.mean([harm.loss for harm in harms]) == pytest.approx(2, abs=0.05)
    assert all(harm.low < harm.loss < harm.high for harm in harms)
    assert "costs" in str(verdicts[0])


@pytest.mark.parametrize("curve", [FLAT, PLATEAU], ids=["flat", "plateau"])
def test_a_plateau_costs_nothing(curve: list[float]) -> None:
    """Uncorrected for the choice of N_U, 9 to 12 % of these sweeps would show a harm."""
    verdicts = [saturation(scores) for scores in sweeps(curve, 600)]
    assert rate(lambda v: v.branch == "plateau", verdicts) > 0.8
    assert rate(lambda v: v.harm is not None and v.harm.p_any <= 0.05, verdicts) <= 0.05
    assert rate(lambda v: v.harm is not None and v.harm.low > 0, verdicts) <= 0.05


def exact(curve: list[float], seeds: int = 3, images: int = 6) -> np.ndarray:
    """Scores almost without error whose means are ``curve``."""
    noise = 1e-4 * np.random.default_rng(0).standard_normal((len(curve), seeds, images))
    noise -= noise.mean(axis=(1, 2), keepdims=True)
    return 28 + np.array(curve)[:, None, None] + noise


@pytest.mark.parametrize(
    ("curve", "lower", "upper", "branch"),
    [
        ([-2, -1, -0.3, 0, 0], 4, 4, "plateau"),
        ([-2, -1, -0.1, 0, 0], 3, 3, "plateau"),
        ([0, 0, 0, 0, 0], 1, 1, "plateau"),
        ([-4, -3, -2, -1, 0], 5, 5, "plateau"),
        ([-1, 0, -0.5, -1, -2], 2, 2, "peak"),
        ([-0.1, 0, -0.5, -1, -2], 1, 1, "peak"),
        ([-1, -0.1, -0.5, 0, 0], 2, 4, "plateau"),  # a dip: the fixed sequence stops there
    ],
)
def test_curves_without_error(curve: list[float], lower: int, upper: int, branch: str) -> None:
    verdict = saturation(exact(curve))
    assert (verdict.lower, verdict.upper, verdict.branch) == (lower, upper, branch)


def test_depths_have_names_of_their_own() -> None:
    verdict = saturation(exact([-2, 0, 0]), depths=(2, 4, 8))
    assert (verdict.lower, verdict.upper) == (4, 4)
    assert verdict.means == pytest.approx((26, 28, 28))
    assert str(verdict) == "Saturated at N = 4 (margin 0.2 dB, alpha 0.05)."


def test_the_deepest_alone_is_no_saturation() -> None:
    verdict = saturation(exact([-2, -1, 0]))
    assert verdict.upper == 3
    assert verdict.harm is None
    assert "No smaller depth" in str(verdict)


def test_a_share_of_the_gain_instead_of_a_margin() -> None:
    curve = [-4, -0.5, -0.15, 0, 0]
    assert saturation(exact(curve), keeps=0.95).upper == 3  # 5 % of 4 dB are 0.2
    assert saturation(exact(curve), keeps=0.80).upper == 2
    assert saturation(exact(curve), keeps=0.97).upper == 4
    assert saturation(exact(curve), keeps=0.80).margin == pytest.approx(0.8)
    # A peak: the share is of the peak's gain, not of the deepest one's.
    assert saturation(exact([-4, -0.5, 0, -2, -3]), keeps=0.80).upper == 2


def test_one_seed_is_not_enough() -> None:
    verdict = saturation(exact(PLATEAU, seeds=1))
    assert not verdict.resolved
    assert (verdict.lower, verdict.branch) == (None, None)
    assert verdict.seeds_needed == 3
    assert verdict.means == pytest.approx(28 + np.array(PLATEAU))
    assert "1 seed of a cell" in str(verdict)


def test_missing_runs() -> None:
    scores = exact([-2, -1, 0, 0], seeds=3)
    scores[1, 2] = scores[3, 0] = np.nan
    assert saturation(scores).upper == 3
    scores[2] = np.nan
    verdict = saturation(scores)
    assert not verdict.resolved
    assert "depth 3 has no finished run" in str(verdict)
    scores[1, 0, 0] = np.nan
    with pytest.raises(UsageError, match="lacks the score"):
        saturation(scores)


def test_the_order_of_seeds_and_images_does_not_matter() -> None:
    scores = next(sweeps(PLATEAU, 1))
    random = np.random.default_rng(0)
    shuffled = np.stack([level[random.permutation(5)] for level in scores])[..., ::-1]
    assert saturation(shuffled).p_values == pytest.approx(saturation(scores).p_values)


def test_nonsense_is_refused() -> None:
    scores = exact([-1, 0])
    for wrong in ({"margin": 0.0}, {"alpha": 0.7}, {"keeps": 1.0}, {"depths": (2, 1)}):
        with pytest.raises(ValueError):
            saturation(scores, **wrong)
    with pytest.raises(ValueError, match="two or more"):
        saturation(scores[:1])


def test_holm_by_hand() -> None:
    p = np.array([0.03, 0.005, 0.02, 0.9])
    assert holm(p, 0.05).tolist() == [False, True, False, False]
    assert holm(np.array([0.01, 0.04, 0.02]), 0.05).tolist() == [True, True, True]
    # 0.04 would do alone, but nothing is rejected after the first failure.
    assert holm(np.array([0.02, 0.04, 0.02]), 0.05).tolist() == [False, False, False]
