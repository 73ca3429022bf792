"""What docs/degradations.md is measured with, on images whose statistics are known."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.degradation_statistics import (
    coherence,
    contrast_kept,
    of_haze,
    of_heavy_rain,
    of_noise,
    of_rain,
    psnr,
)
from benchmarks.degradations import COMPARISONS, PAGE, table
from tests.helpers import trees


def scene(side: int = 192) -> np.ndarray:
    """Gray levels that rise from left to right, with texture."""
    random = np.random.default_rng(0)
    ramp = np.linspace(0.2, 0.7, side)[None, :, None]
    return np.asarray(ramp + 0.05 * random.standard_normal((side, side, 3)), np.float32)


def test_psnr_is_that_of_a_known_error() -> None:
    clean = scene()
    assert psnr(clean, clean + 0.1) == pytest.approx(20, abs=1e-3)


def test_noise_of_known_deviations_and_correlations() -> None:
    random, clean = np.random.default_rng(1), scene(400)
    luma = clean.mean(2, keepdims=True)
    covariance = np.array([[4, 0.5, 1.2], [0.5, 1, 0.3], [1.2, 0.3, 2.25]]) * 1e-4
    noise = random.multivariate_normal(np.zeros(3), covariance, luma.shape[:2])
    found = of_noise(clean, (clean + noise * (1.5 - luma)).astype(np.float32))
    assert found["sd, red / green"] == pytest.approx(2, rel=0.02)
    assert found["sd, blue / green"] == pytest.approx(1.5, rel=0.02)
    assert found["correlation of red and blue"] == pytest.approx(0.4, abs=0.02)
    assert found["correlation of red and green"] == pytest.approx(0.25, abs=0.02)
    assert found["correlation of channels, mean"] == pytest.approx((0.4 + 0.25 + 0.2) / 3, abs=0.02)
    assert found["correlation of neighbours"] == pytest.approx(0, abs=0.02)
    dark, bright = (luma[luma <= np.quantile(luma, 0.2)], luma[luma >= np.quantile(luma, 0.8)])
    expected = np.sqrt(((1.5 - bright) ** 2).mean() / ((1.5 - dark) ** 2).mean())
    assert found["sd, brightest fifth / darkest"] == pytest.approx(expected, rel=0.03)


def test_the_light_that_rain_adds() -> None:
    clean = scene()
    added = np.zeros_like(clean)
    added[:, ::50] = 0.3  # 2 % of the columns
    added[:48, 1] = -0.1
    found = of_rain(clean, clean + added)
    assert found["99th percentile of the added light"] == pytest.approx(0.3, abs=1e-5)
    assert found["mean of the added light"] == pytest.approx(added.mean(), abs=1e-6)
    assert found["share of darkened pixels"] == pytest.approx(48 / 192**2, rel=1e-3)
    assert found["coherence of the added light"] > 0.95


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2])
def test_coherence_is_1_for_one_direction_and_small_for_none(angle: float) -> None:
    y, x = np.indices((200, 200))
    grating = np.sin(0.4 * (np.cos(angle) * x + np.sin(angle) * y))
    assert coherence(grating) == pytest.approx(1, abs=0.02)
    assert coherence(np.random.default_rng(0).standard_normal((200, 200))) < 0.15
    crossed = grating + np.sin(0.4 * (np.sin(angle) * x - np.cos(angle) * y))
    assert coherence(crossed) < 0.5


def test_contrast_kept_is_the_transmission_whatever_rains_before_it() -> None:
    clean = scene(300)
    random = np.random.default_rng(2)
    rain = 0.1 * random.standard_normal(clean.shape[:2])
    gray = clean.mean(2)
    assert contrast_kept(gray, 0.6 * gray + 0.3) == pytest.approx(0.6, abs=1e-4)
    assert contrast_kept(gray, 0.6 * gray + 0.3 + rain) == pytest.approx(0.6, abs=0.03)
    layers = np.repeat([0.2, 0.5, 0.8], 100)[:, None, None]
    for measure in (of_haze, of_heavy_rain):
        found = measure(clean, (layers * clean + 0.9 * (1 - layers)).astype(np.float32))
        for part, kept in (("top", 0.2), ("middle", 0.5), ("bottom", 0.8)):
            assert found[f"contrast kept, {part} third"] == pytest.approx(kept, abs=1e-3)
        assert found["least contrast kept of nine parts"] == pytest.approx(0.2, abs=1e-3)


def test_a_table_is_made_of_the_benchmarks_that_are_there(tmp_path: Path) -> None:
    trees.rain800(tmp_path / "rain800", test=3)
    rain = next(each for each in COMPARISONS if each.dataset == "rain")
    title, *lines = table(rain, tmp_path)
    assert title == "## `rain` and Rain800: 3 images"
    statistics = of_rain(scene(), 0.9 * scene())
    assert [line.split(" | ")[0].lstrip("| ") for line in lines[3:-1]] == list(statistics)
    for other in COMPARISONS:
        if other is not rain:
            assert table(other, tmp_path) == []


def test_the_page_has_a_table_for_each_comparison() -> None:
    page = PAGE.read_text("utf-8")
    for comparison in COMPARISONS:
        assert f"## `{comparison.dataset}` and {comparison.benchmark}: " in page
