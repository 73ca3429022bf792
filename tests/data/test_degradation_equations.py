"""The equation of each degradation model, computed again with numpy."""

import numpy as np
import pytest
import torch
from skimage.filters import gaussian
from torch import Tensor

from ir_lightning.data.degradations.degradation import Degradation, Scene
from ir_lightning.data.degradations.models import (
    HEAVY,
    LIGHT,
    MEDIUM,
    Haze,
    HeavyRain,
    Noise,
    Rain,
    RainDensity,
    RainHaze,
)
from ir_lightning.data.degradations.streaks import Streaks
from tests.helpers.scenes import photograph, slope

# Noise: y = x + n, n ~ N(0, shot x + read^2).


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.2])
@pytest.mark.parametrize("intensity", [0.3, 0.5, 0.7])
def test_noise_has_the_mean_and_variance_of_the_equation(
    intensity: float, correlation: float
) -> None:
    clean = torch.full((4, 3, 128, 128), intensity)
    noise = (Noise(0.01, 0.03, correlation)(clean, seed=1) - clean).numpy()
    variance = 0.01 * intensity + 0.03**2
    independent = noise.size / max(1, 4 * np.pi * correlation**2)
    assert abs(noise.mean()) < 4 * np.sqrt(variance / independent)
    assert noise.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / independent))
    edges = np.concatenate([noise[..., 0].ravel(), noise[..., -1, :].ravel()])
    assert edges.var() == pytest.approx(variance, rel=0.2)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_noise_is_correlated_like_a_filtered_white_one(correlation: float) -> None:
    clean = torch.full((2, 3, 192, 192), 0.5)
    noise = (Noise(0.01, 0.02, correlation)(clean, seed=1) - clean).numpy()
    taps = np.exp(-0.5 * (np.arange(-9, 10) / max(correlation, 1e-6)) ** 2)
    expected = (taps[1:] * taps[:-1]).sum() / (taps**2).sum()
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.var()
    assert neighbours == pytest.approx(expected, abs=0.02)


def test_no_noise_is_the_clean_image() -> None:
    assert torch.equal(Noise(0, 0)(photograph(), seed=0), photograph())


# Haze: I = J t + A (1 - t), t = exp(-beta d).


def test_haze_is_the_scattering_equation() -> None:
    clean, depth = photograph(), slope()
    hazy = Haze(beta=1.3, light=0.85, distance=1.7)(clean, depth, seed=0).numpy()
    t = np.exp(-1.3 * 1.7 * depth.numpy())
    np.testing.assert_allclose(hazy, clean.numpy() * t + 0.85 * (1 - t), atol=1e-6)


def test_haze_begins_at_the_nearest_point() -> None:
    clean, depth = photograph(), slope()
    hazy = Haze(beta=1.3, light=0.85, distance=1.7, near=0.3)(clean, depth, seed=0).numpy()
    t = np.exp(-1.3 * 1.7 * (0.3 + 0.7 * depth.numpy()))
    np.testing.assert_allclose(hazy, clean.numpy() * t + 0.85 * (1 - t), atol=1e-6)


@pytest.mark.parametrize("ranged", ["distance", "near"])
def test_haze_draws_the_distances_from_their_ranges(ranged: str) -> None:
    black, count = torch.zeros(400, 1, 1, 2), 400
    depth = torch.tensor([1.0, 0.0]).expand(count, 1, 1, 2)
    fixed = {"beta": 1.0, "light": 1.0, "distance": 1.0, "near": 0.5, ranged: [0.4, 0.9]}
    far, near = -np.log(1 - Haze(**fixed)(black, depth, seed=0).double().numpy()[:, 0, 0].T)
    drawn = {"distance": far, "near": near / far}
    assert drawn[ranged].min() > 0.4 - 1e-3
    assert drawn[ranged].max() < 0.9 + 1e-3
    assert drawn[ranged].std() == pytest.approx(0.5 / np.sqrt(12), rel=0.15)
    for other in drawn.keys() - {ranged}:
        np.testing.assert_allclose(drawn[other], fixed[other], atol=1e-5)


def test_distances_that_are_drawn_move_nothing_else() -> None:
    clean, near = photograph(), torch.zeros_like(photograph()[:, :1])
    for model in (Haze, HeavyRain):
        plain, ranged = model(near=0.0), model(near=0.0, distance=[0.1, 0.9])
        # At relative depth 0 the farthest point is not seen.
        assert torch.equal(plain(clean, near, seed=3), ranged(clean, near, seed=3))


def test_haze_draws_beta_and_light_from_their_ranges() -> None:
    black, count = torch.zeros(400, 1, 1, 2), 400
    depth = torch.tensor([1.0, 0.5]).expand(count, 1, 1, 2)
    far, half = Haze(distance=2.0)(black, depth, seed=0).double().numpy()[:, 0, 0].T
    # far = A (1 - t), half = A (1 - sqrt(t)), so far / half = 1 + sqrt(t).
    root = far / half - 1
    beta, light = -np.log(root), half / (1 - root)
    for drawn, low, high in [(beta, 0.6, 1.8), (light, 0.7, 1.0)]:
        assert drawn.min() > low - 1e-3
        assert drawn.max() < high + 1e-3
        assert drawn.mean() == pytest.approx((low + high) / 2, abs=0.1 * (high - low))
        assert drawn.std() == pytest.approx((high - low) / np.sqrt(12), rel=0.15)
    assert abs(np.corrcoef(beta, light)[0, 1]) < 0.2


# Rain: O = J + S.


def rain_alone(model: Degradation, seed: int, clean: Tensor) -> np.ndarray:
    """S, as it falls in front of a black and near scene."""
    return model(torch.zeros_like(clean), torch.zeros_like(clean[:, :1]), seed=seed).numpy()


@pytest.mark.parametrize("model", [Rain(), RainDensity()], ids=["rain", "rain_density"])
def test_rain_only_adds_and_adds_the_same_to_all_colours(model: Degradation) -> None:
    clean = photograph()
    streaks = rain_alone(model, 4, clean)
    assert np.array_equal(streaks[:, 0], streaks[:, 1])
    assert np.array_equal(streaks[:, 0], streaks[:, 2])
    assert streaks.max() > 0.2
    expected = np.minimum(clean.numpy() + streaks, 1)
    rainy = model(clean, seed=4)
    np.testing.assert_allclose(rainy.numpy(), expected, atol=1e-6)
    assert (rainy >= clean).all()


@pytest.mark.parametrize("nothing", [Streaks(density=0), Streaks(brightness=0)])
def test_no_streaks_leave_the_clean_image(nothing: Streaks) -> None:
    model = Rain(nothing)
    torch.testing.assert_close(model(photograph(), seed=0), photograph(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("angle", [-40.0, 0.0, 25.0])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_streaks_fall_along_their_angle(angle: float, scale: float) -> None:
    rain = Rain(Streaks(angle=angle, spread=0, length=30, scales=[scale]))
    image = rain_alone(rain, 1, torch.zeros(1, 1, 201, 160))[0, 0]
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    v, u = np.meshgrid(np.fft.fftfreq(201), np.fft.fftfreq(160), indexing="ij")
    power[np.hypot(u, v) > 0.25] = 0
    # The power lies along the direction across the streaks; "/" leans to the right.
    across = 0.5 * np.arctan2(2 * (u * v * power).sum(), ((u**2 - v**2) * power).sum())
    assert np.degrees(across) == pytest.approx(angle, abs=1.5)


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (30.0, 1.0), (30.0, 3.0)])
def test_rain_covers_what_density_length_and_brightness_say(angle: float, scale: float) -> None:
    rain = Rain(Streaks(angle, 0.004, 20, 0.4, [scale], spread=0))
    image = rain_alone(rain, 0, torch.zeros(40, 1, 300, 400))
    # A drop has on average 0.625 of the brightness, and its soft ends take 24 % of its length.
    assert image.mean() == pytest.approx(0.004 * 20 * 0.4 * 0.625 * 0.76, rel=0.04)


def test_larger_scales_magnify_the_rain() -> None:
    widths = []
    for scale in (1.0, 2.0, 4.0):
        rain = Rain(Streaks(0, 0.002, 20, 0.5, [scale], spread=0))
        row = rain_alone(rain, 0, torch.zeros(4, 1, 128, 256))[:, 0]
        variation = (np.diff(row, axis=2) ** 2).mean() / row.var()
        widths.append(1 / np.sqrt(variation))
    assert widths[0] < 0.7 * widths[1] < 0.49 * widths[2]


def test_a_crop_rains_like_the_whole_photograph() -> None:
    means = [
        np.mean([rain_alone(Rain(), seed, torch.zeros(1, 1, n, n)).mean() for seed in range(60)])
        for n in (32, 256)
    ]
    assert means[0] == pytest.approx(means[1], rel=0.15)


# Rain density: the noise level decides how much falls.


def test_the_rain_is_as_dense_as_its_level() -> None:
    streaks = Streaks(0, 0.01, 20, 0.2, [1.0], spread=0)
    black = torch.zeros(4, 1, 200, 200)
    means = [rain_alone(RainDensity(level, streaks), 0, black).mean() for level in (0.2, 0.8)]
    assert means[1] / means[0] == pytest.approx(4, rel=0.05)


def test_light_medium_and_heavy_rain_are_ordered() -> None:
    clean = photograph(30, 96, 96)
    light, medium, heavy = (
        -10 * np.log10(((RainDensity(level)(clean, seed=0) - clean) ** 2).mean((1, 2, 3)))
        for level in (LIGHT, MEDIUM, HEAVY)
    )
    assert light.mean() > medium.mean() + 2 > heavy.mean() + 3


def test_the_default_level_is_an_even_mixture_of_the_three_classes() -> None:
    scene = Scene(torch.zeros(600, 1, 1, 1), torch.zeros(600, 1, 1, 1), 0)
    level = scene.numbers(RainDensity().level).numpy()
    for low, high in (LIGHT, MEDIUM, HEAVY):
        assert ((low <= level) & (level < high)).mean() == pytest.approx(1 / 3, abs=0.06)


# Rain and haze: O = I (1 - R - A) + R + A0 A.

FAINT = Streaks(brightness=0.2)
TRIPLES = [[0.01, 0.005, 0.01], [0.02, 0.01, 0.005], [0.03, 0.015, 0.002]]


@pytest.mark.parametrize(("alpha", "beta", "radius"), TRIPLES)
def test_rain_and_haze_is_the_depth_aware_equation(
    alpha: float, beta: float, radius: float
) -> None:
    clean, depth = photograph(), slope()
    model = RainHaze([[alpha, beta, radius]], 0.8, distance=120, focal=2000, streaks=FAINT)
    d, d1 = 120 * depth.numpy(), 2 * 2000 * radius
    pattern = rain_alone(model, 6, clean) / np.exp(-alpha * d1)
    rain = pattern * np.exp(-alpha * np.maximum(d1, d))
    fog = 1 - np.exp(-beta * d)
    expected = clean.numpy() * (1 - rain - fog) + rain + 0.8 * fog
    assert rain.max() > 0.05
    np.testing.assert_allclose(model(clean, depth, seed=6).numpy(), expected, atol=1e-5)


def test_streaks_are_invisible_before_white_and_fog_is_not() -> None:
    white, depth = torch.ones(2, 3, 37, 50), slope()
    foggy = RainHaze([TRIPLES[1]], light=0.75, distance=100)(white, depth, seed=0).numpy()
    fog = 1 - np.exp(-0.01 * 100 * depth.numpy())
    np.testing.assert_allclose(foggy, np.broadcast_to(1 - fog + 0.75 * fog, foggy.shape), atol=1e-5)


def test_the_weather_is_one_of_the_triples_for_each_image() -> None:
    clean, depth = photograph(1), slope(1)
    seen = set()
    for seed in range(24):
        mixed = RainHaze()(clean, depth, seed=seed)
        single = [RainHaze([triple])(clean, depth, seed=seed) for triple in TRIPLES]
        seen.add([torch.allclose(mixed, image, atol=1e-6) for image in single].index(True))
    assert seen == {0, 1, 2}


# Heavy rain: I = T (J + sum S_i) + (1 - T) A.


def test_heavy_rain_is_rain_behind_a_veil() -> None:
    clean, depth = photograph(), slope()
    model = HeavyRain(beta=3.3, light=0.6, blur=0, streaks=FAINT)
    rainy = np.minimum(clean.numpy() + rain_alone(model, 2, clean), 1)
    t = np.exp(-3.3 * depth.numpy())
    expected = t * rainy + (1 - t) * 0.6
    np.testing.assert_allclose(model(clean, depth, seed=2).numpy(), expected, atol=1e-5)
    away = HeavyRain(beta=3.3, light=0.6, blur=0, streaks=FAINT, distance=0.7, near=0.2)
    t = np.exp(-3.3 * 0.7 * (0.2 + 0.8 * depth.numpy()))
    expected = t * rainy + (1 - t) * 0.6
    np.testing.assert_allclose(away(clean, depth, seed=2).numpy(), expected, atol=1e-5)


def test_heavy_rain_saturates_before_the_veil() -> None:
    white, depth = torch.ones(2, 3, 37, 50), slope()
    veiled = HeavyRain(beta=1.0, light=0.5)(white, depth, seed=0).numpy()
    t = np.exp(-depth.numpy())
    np.testing.assert_allclose(veiled, np.broadcast_to(0.5 + 0.5 * t, veiled.shape), atol=1e-5)


def test_heavy_rain_blurs_the_scene_and_not_the_streaks() -> None:
    clean = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    dry = Streaks(density=0)
    blurred = HeavyRain(blur=1.0, streaks=dry)(clean, torch.zeros(1, 1, 40, 40), seed=0)[0].numpy()
    expected = gaussian(clean[0].numpy(), 1.0, mode="nearest", truncate=4, channel_axis=0)
    np.testing.assert_allclose(blurred, expected, atol=1e-4)
    sharp, soft = HeavyRain(blur=0, streaks=FAINT), HeavyRain(blur=1.0, streaks=FAINT)
    assert np.array_equal(rain_alone(sharp, 1, clean), rain_alone(soft, 1, clean))
