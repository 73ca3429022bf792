"""Two stages are found where there are two, and not where a curve merely slows down."""

import numpy as np
import pytest
from scipy.signal import lfilter

from ir_lightning.statistics.decays import EXP2, MODELS, Fit, ShapeGrid, binned
from ir_lightning.statistics.stages import Stages, over_seeds, power, ratios_of_one, stages

pytestmark = pytest.mark.slow

T = np.arange(1.0, 5001)
SD = 0.02  # of AR(1) noise with phi = 0.8

ONE = 0.1 + 0.5 * np.exp(-T / 300)
TWO = 0.1 + 0.4 * np.exp(-T / 60) + 0.2 * np.exp(-T / 900)
NEAR = 0.1 + 0.4 * np.exp(-T / 60) + 0.2 * np.exp(-T / 120)
POWER = 0.1 + 0.6 * T**-0.5
LATE_POWER = 0.1 + 0.6 * (1 + T / 50) ** -0.7
STRETCHED = 0.1 + 0.6 * np.exp(-((T / 200) ** 0.5))


def judged(curve: np.ndarray, count: int = 20, sd: float = SD) -> list[Stages]:
    """The verdicts on ``count`` series with noise of their own."""
    random = np.random.default_rng(11)
    verdicts = []
    for _ in range(count):
        shocks = sd * 0.6 * random.standard_normal(len(T) + 100)
        verdicts.append(stages(T, curve + lfilter([1], [1, -0.8], shocks)[100:]))
    return verdicts


def slowing(verdict: Stages) -> bool:
    """The paper's regression: two exponentials fit better than one, so there are two stages."""
    return verdict.bic["exp1"] - verdict.bic["exp2"] >= 10


def test_two_stages_are_found_and_measured() -> None:
    verdicts = judged(TWO, 10, sd=0.01)
    assert all(verdict.two_stage for verdict in verdicts)
    assert {verdict.best for verdict in verdicts} == {"exp2"}
    assert {verdict.p_value for verdict in verdicts} == {1 / 200}
    for verdict in verdicts:
        assert verdict.taus == pytest.approx((60, 900), rel=0.1)
    fast, slow = np.median([verdict.taus for verdict in judged(TWO)], axis=0)
    assert (fast, slow) == pytest.approx((60, 900), rel=0.1)
    assert "Two stages" in str(verdicts[0])


def test_one_stage_is_one_and_the_bootstrap_is_uniform() -> None:
    verdicts = judged(ONE, 30)
    assert not any(verdict.two_stage for verdict in verdicts)
    assert sum(verdict.best == "exp1" for verdict in verdicts) >= 20  # plain BIC, no margin
    p = np.array([verdict.p_value for verdict in verdicts])
    assert (p <= 0.05).sum() <= 5  # 1.5 expected; more than 5 with probability 0.003
    assert 0.3 < np.median(p) < 0.75
    assert "noise around one exponential" in " ".join(map(str, verdicts))


@pytest.mark.parametrize(
    ("curve", "best"),
    [(POWER, "power"), (LATE_POWER, "shifted power"), (STRETCHED, "stretched")],
    ids=["power", "shifted power", "stretched"],
)
def test_a_curve_that_merely_slows_down_has_one_stage(curve: np.ndarray, best: str) -> None:
    verdicts = judged(curve)
    assert not any(verdict.two_stage for verdict in verdicts)
    assert sum(verdict.best == best for verdict in verdicts) >= 15
    assert all(slowing(verdict) for verdict in verdicts)  # without rivals: 20 of 20 "two-stage"
    assert all(verdict.p_value <= 0.05 for verdict in verdicts)  # the test alone does not help


def test_a_power_law_that_starts_late_is_why_there_is_a_shifted_rival() -> None:
    verdicts = judged(LATE_POWER)
    fooled = [
        all(v.bic[name] - v.bic["exp2"] >= 10 for name in ("exp1", "power", "stretched"))
        for v in verdicts
    ]
    assert sum(fooled) >= 5


def test_taus_too_close_to_tell_are_not_told() -> None:
    assert not any(verdict.two_stage for verdict in judged(NEAR))
    certain = judged(NEAR, 1, sd=0.0005)[0]  # seen, but no two stages to speak of
    assert certain.best == "exp2"
    assert not certain.two_stage
    assert "less than 3 apart" in str(certain)
    assert ";" not in str(certain)  # and nothing else speaks against it


def test_a_second_tau_beyond_the_curve_is_no_stage() -> None:
    verdict = judged(0.1 + 0.4 * np.exp(-T / 60) + 5 * np.exp(-T / 40000), 1, sd=0.002)[0]
    assert not verdict.two_stage
    assert verdict.taus[1] > verdict.window
    assert "longer than the curve" in str(verdict)


def test_a_verdict_takes_three_seeds_that_agree() -> None:
    two, one = judged(TWO, 3, sd=0.01), judged(POWER, 1)
    agreed = over_seeds(two)
    assert (agreed.verdict, agreed.two_stage, agreed.seeds) == ("two-stage", 3, 3)
    assert agreed.taus == pytest.approx((60, 900), rel=0.1)
    assert over_seeds(two + one).verdict == "undecided"
    assert over_seeds(one * 3).verdict == "not two-stage"
    few = over_seeds(two[:2])
    assert few.verdict == "undecided"
    assert "at least 3 seeds" in str(few)
    with pytest.raises(ValueError, match="no curves"):
        over_seeds([])


def test_absence_of_power_refutes_nothing() -> None:
    """Two true stages in the noise of batches of one: hardly found, and not called one stage."""
    t = np.arange(1.0, 1001)
    loss = 0.1 + 0.4 * np.exp(-t / 20) + 0.2 * np.exp(-t / 300)
    random = np.random.default_rng(8)
    curves = [stages(t, loss * (1 + 0.2 * random.standard_normal(len(t)))) for _ in range(3)]
    assert sum(curve.two_stage for curve in curves) < 3
    assert not any(curve.one_stage for curve in curves)
    assert over_seeds(curves).verdict == "undecided"
    assert "power 0." in str(curves[0])


def test_power_is_how_often_the_rule_finds_such_stages() -> None:
    """Of the true curve, against whole verdicts on curves with noise of their own."""
    t, random = np.arange(5.0, 1001, 5), np.random.default_rng(4)
    loss = 0.1 + 0.4 * np.exp(-t / 20) + 0.2 * np.exp(-t / 300)
    for sd, least, most in ((0.005, 0.95, 1.0), (0.014, 0.4, 0.9)):
        curves = loss + sd * random.standard_normal((20, len(t)))
        series = binned(t, curves[0])
        grids = {model.name: ShapeGrid(model, series) for model in MODELS}
        truth = Fit(
            EXP2,
            ((20.0,), (300.0,)),
            (0.4 * np.exp(-5 / 20), 0.2 * np.exp(-5 / 300)),
            0.1,
            float(t[0]),
            0.0,
            0.0,
        )
        null = ratios_of_one(grids, grids["exp1"].fit(), 0.0, 199, seed=0)
        found = power(grids, truth, 0.0, null)
        assert found is not None
        assert least <= found <= most
        share = np.mean([stages(t, curve).two_stage for curve in curves])
        assert found == pytest.approx(share, abs=0.25)  # 2.2 standard errors of 20 curves


def test_where_no_two_stages_were_fitted_their_power_says_nothing() -> None:
    """One exponential without noise to speak of is not refuted: two may be as near as you like."""
    verdicts = judged(ONE, 10, sd=0.001)
    assert None in {verdict.power for verdict in verdicts}
    assert not any(verdict.one_stage for verdict in verdicts)
    assert over_seeds(verdicts).verdict == "undecided"
    assert any("exp2 has no two stages" in str(verdict) for verdict in verdicts)


def test_a_curve_is_judged_the_same_twice() -> None:
    first, again = judged(ONE, 1)[0], judged(ONE, 1)[0]
    assert first == again
    assert first.bic.keys() == {model.name for model in MODELS}


def test_curves_without_noise_or_without_change_are_judged() -> None:
    assert stages(T, TWO).two_stage
    assert not stages(T, ONE).two_stage
    assert not stages(T, np.full(len(T), 0.3)).two_stage
    assert not stages(T, np.zeros(len(T))).two_stage


def test_a_coarse_bootstrap_is_refused() -> None:
    with pytest.raises(ValueError, match="199"):
        stages(T, ONE, bootstrap=19)


def test_a_long_curve_is_judged_as_a_short_one() -> None:
    long = np.arange(1.0, 100_001)
    assert not stages(long, 0.1 + long**-0.5).two_stage
    found = stages(long, 0.1 + 0.4 * np.exp(-long / 600) + 0.2 * np.exp(-long / 9000))
    assert found.two_stage
    assert found.taus == pytest.approx((600, 9000), rel=0.1)
