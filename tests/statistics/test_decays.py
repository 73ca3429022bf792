"""Bins, noise and fits: closed forms against numpy and scipy, and the truth recovered."""

import numpy as np
import pytest
from scipy.optimize import curve_fit, nnls
from scipy.signal import lfilter

from ir_lightning.errors import UsageError
from ir_lightning.statistics.decays import (
    EXP1,
    EXP2,
    MODELS,
    POWER,
    SHIFTED,
    STRETCHED,
    ShapeGrid,
    binned,
    explained,
    noise_growth,
)

T = np.arange(1.0, 5001)


def noise(sd: float, phi: float = 0.8, seed: int = 0) -> np.ndarray:
    shocks = sd * np.sqrt(1 - phi**2) * np.random.default_rng(seed).standard_normal(len(T) + 100)
    return np.asarray(lfilter([1], [1, -phi], shocks)[100:])


def test_bins_hold_every_record_once() -> None:
    values = np.random.default_rng(0).normal(size=len(T))
    series = binned(T, values)
    counts = np.diff(np.append(series.starts, len(T)))
    assert 80 < len(counts) <= 120
    assert counts.sum() == len(T)
    assert (counts >= 1).all()
    last = slice(series.starts[-1], None)
    assert series.iterations[-1] == pytest.approx(T[last].mean())
    assert series.values[-1] == pytest.approx(values[last].mean())
    assert series.values @ counts == pytest.approx(values.sum())
    ratio = np.diff(np.log(T[series.starts]))[-20:]
    assert ratio == pytest.approx(np.log(5000) / 120, rel=0.1)


def test_a_curve_logged_every_hundred_iterations_has_bins_too() -> None:
    series = binned(T[:400] * 100, np.exp(-T[:400] / 50))
    assert (np.diff(series.starts) > 0).all()
    assert series.starts[0] == 0
    assert series.spacing == pytest.approx(100)
    assert series.window == pytest.approx(39900)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8, 0.95])
def test_correlated_noise_is_recognised_and_weighs_less(phi: float) -> None:
    series = binned(T, 1 / T + noise(0.02, phi))
    assert series.phi == pytest.approx(phi, abs=0.05)
    assert series.noise == pytest.approx(0.02, rel=0.15)
    counts = np.diff(np.append(series.starts, len(T)))
    repeated = (1 + series.phi) / (1 - series.phi)
    assert series.weights == pytest.approx(np.maximum(counts / repeated, 1))


def test_simulated_series_have_the_noise_of_the_curve() -> None:
    series = binned(T, noise(0.02, 0.8))
    means = series.simulate(np.zeros(len(T)), 0.0, 400, np.random.default_rng(1))
    first = means[:, 0]  # of one record
    assert first.std() == pytest.approx(series.noise, rel=0.1)
    counts = np.diff(np.append(series.starts, len(T)))
    expected = series.noise * np.sqrt((1 + series.phi) / (1 - series.phi) / counts[-1])
    assert means[:, -1].std() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("growth", [0.0, 1.0])
def test_noise_that_falls_with_the_loss_is_seen_and_simulated(growth: float) -> None:
    t = T[:200] * 5
    loss = 0.1 + 0.4 * np.exp(-t / 60) + 0.2 * np.exp(-t / 300)
    found, random = [], np.random.default_rng(3)
    for _ in range(10):
        series = binned(t, loss + 0.05 * loss**growth * random.standard_normal(len(t)))
        found.append(noise_growth(series, ShapeGrid(EXP2, series).fit()))
    assert np.median(found) == pytest.approx(growth, abs=0.25)

    means = series.simulate(loss, growth, 400, random)
    early = means[:, 0].std() / series.noise  # of one record; the noise is that of the last half
    assert early == pytest.approx((loss[0] / loss[100:].mean()) ** growth, rel=0.15)


def test_noise_of_a_curve_that_reaches_zero_is_the_same_everywhere() -> None:
    series = binned(T, np.exp(-T / 60) - 0.5 + noise(0.02))
    assert noise_growth(series, ShapeGrid(EXP1, series).fit()) == 0


def test_what_is_no_curve_is_refused() -> None:
    with pytest.raises(UsageError, match="39 points of a curve, fewer than 40"):
        binned(T[:39], T[:39])
    with pytest.raises(UsageError, match="not finite"):
        binned(T, np.where(T == 7, np.nan, 1.0))
    for wrong in (T[::-1], T - 1, T[:-1]):
        with pytest.raises(ValueError, match="rise from 1"):
            binned(wrong, T)


def test_amplitudes_in_closed_form_are_those_of_nnls() -> None:
    random = np.random.default_rng(0)
    columns, curves = random.normal(size=(6, 30)), random.normal(size=(25, 30))
    gains, index = explained(columns, curves, 2)
    for curve, gain, (i, j) in zip(curves, gains, index, strict=True):
        pairs = {(a, b): nnls(columns[[a, b]].T, curve)[1] for b in range(6) for a in range(b)}
        best = min(pairs.values())
        assert curve @ curve - gain == pytest.approx(best**2)
        assert pairs[i, j] == pytest.approx(best)
    gains, index = explained(columns, curves, 1)
    for curve, gain, (i,) in zip(curves, gains, index, strict=True):
        singles = [nnls(column[:, None], curve)[1] for column in columns]
        assert curve @ curve - gain == pytest.approx(min(singles) ** 2)
        assert singles[i] == pytest.approx(min(singles))


CURVES = {
    EXP1: (0.1 + 0.5 * np.exp(-T / 300), [300.0]),
    EXP2: (0.1 + 0.4 * np.exp(-T / 60) + 0.2 * np.exp(-T / 900), [60.0, 900.0]),
    POWER: (0.1 + 0.6 * T**-0.5, [0.5]),
    SHIFTED: (0.1 + 0.6 * (1 + T / 50) ** -0.7, [50.0]),
    STRETCHED: (0.1 + 0.6 * np.exp(-((T / 200) ** 0.5)), [200.0]),
}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_curve_without_noise_is_recovered(model: type) -> None:
    curve, truth = CURVES[model]  # type: ignore[index]
    fit = ShapeGrid(model, binned(T, curve)).fit()  # type: ignore[arg-type]
    assert fit.taus == pytest.approx(truth, rel=0.05)  # a bin's mean is not the curve at its centre
    assert fit.offset == pytest.approx(0.1, abs=0.003)
    assert sum(fit.amplitudes) + fit.offset == pytest.approx(curve[0], abs=0.003)
    assert fit(T) == pytest.approx(curve, abs=0.003)


def test_amplitudes_belong_to_the_first_record() -> None:
    fit = ShapeGrid(EXP2, binned(T, CURVES[EXP2][0])).fit()
    expected = 0.4 * np.exp(-1 / 60), 0.2 * np.exp(-1 / 900)
    assert fit.amplitudes == pytest.approx(expected, rel=0.02)


def test_the_fit_is_no_worse_than_one_started_from_the_truth() -> None:
    def two(t: np.ndarray, *p: float) -> np.ndarray:
        return np.asarray(p[0] * np.exp(-t / p[1]) + p[2] * np.exp(-t / p[3]) + p[4])

    for seed in range(5):
        series = binned(T, CURVES[EXP2][0] + noise(0.01, seed=seed))
        sigma = 1 / np.sqrt(series.weights)
        start = (0.4, 60, 0.2, 900, 0.1)
        found, _ = curve_fit(two, series.iterations, series.values, start, sigma=sigma)
        rss = float(series.weights @ (series.values - two(series.iterations, *found)) ** 2)
        assert ShapeGrid(EXP2, series).fit().rss <= rss * (1 + 1e-6)


def test_bic_counts_amplitudes_shapes_offset_and_noise() -> None:
    assert [model.parameters for model in MODELS] == [3, 5, 3, 4, 4]
    series = binned(T, CURVES[EXP1][0] + noise(0.01))
    fit, n = ShapeGrid(EXP1, series).fit(), len(series.values)
    assert fit.bic == pytest.approx(n * np.log(fit.rss / n) + 4 * np.log(n))
    residual = series.values - fit(series.iterations)
    assert fit.rss == pytest.approx(series.weights @ residual**2)


def test_amplitudes_are_never_negative() -> None:
    for model in MODELS:
        fit = ShapeGrid(model, binned(T, 1 - np.exp(-T / 300) + noise(0.01))).fit()
        assert min(fit.amplitudes) >= 0
        assert np.isfinite(fit.bic)
