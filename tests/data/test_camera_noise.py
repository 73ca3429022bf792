"""Sensor noise seen through a camera's pipeline, against the equation in numpy."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2xyz

from ir_lightning.data.degradations.camera import MIXING, CameraNoise, from_linear, to_linear
from ir_lightning.data.degradations.models import Noise
from ir_lightning.errors import UsageError
from tests.helpers.scenes import photograph

PLAIN = {"gains": 1.0, "mixing": 0.0, "sharing": 0.0, "correlation": 0.0, "gamma": 1}


def flat(level: float, side: int = 192) -> torch.Tensor:
    return torch.full((2, 3, side, side), level)


def noise_of(model: CameraNoise | Noise, clean: torch.Tensor, seed: int = 1) -> np.ndarray:
    return (model(clean, seed=seed) - clean).double().numpy()


def test_the_curve_is_that_of_srgb() -> None:
    # scikit-image goes through the same curve on the way to XYZ; gray has no matrix but white's.
    gray = np.linspace(0, 1, 101)
    expected = rgb2xyz(np.stack([gray] * 3, 1)[None])[0, :, 1]
    light = to_linear(torch.from_numpy(gray), "srgb")
    np.testing.assert_allclose(light.numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(from_linear(light, "srgb").numpy(), gray, atol=1e-6)
    power = to_linear(torch.tensor([0.5]), 2.2)
    assert power.item() == pytest.approx(0.5**2.2)
    assert from_linear(power, 2.2).item() == pytest.approx(0.5)


def test_without_a_pipeline_it_is_noise_of_the_linear_equation() -> None:
    for level in (0.2, 0.7):
        noise = noise_of(CameraNoise(0.01, 0.03, **PLAIN), flat(level))  # type: ignore[arg-type]
        assert noise.var() == pytest.approx(0.01 * level + 0.03**2, rel=0.03)
        assert abs(noise.mean()) < 1e-3


@pytest.mark.parametrize("colour", [(0.5, 0.5, 0.5), (0.7, 0.4, 0.3)])
def test_the_channels_covary_as_the_pipeline_says(colour: tuple[float, ...]) -> None:
    shot, read, gain, mixing, sharing = 2e-5, 1e-3, 1.8, 0.45, 0.6
    clean = torch.tensor(colour).view(1, 3, 1, 1).expand(2, 3, 256, 256)
    model = CameraNoise(shot, read, gain, mixing, sharing, correlation=0, gamma=2.2)
    degraded = model(clean, seed=3).double().numpy()
    seen = degraded**2.2 - np.array(colour).reshape(1, 3, 1, 1) ** 2.2
    camera = (np.eye(3) + mixing * np.array(MIXING)) @ np.diag([gain, 1, gain])
    sensor = np.linalg.solve(camera, np.array(colour) ** 2.2).clip(0)
    deviation = np.sqrt(shot * sensor + read**2)
    correlated = (1 - sharing) * np.eye(3) + sharing
    expected = camera @ (deviation[:, None] * correlated * deviation) @ camera.T
    measured = np.cov(seen.transpose(1, 0, 2, 3).reshape(3, -1))
    np.testing.assert_allclose(measured, expected, rtol=0.05, atol=0.03 * expected.max())


def test_white_stays_white_in_the_colour_matrix() -> None:
    assert np.array(MIXING).sum(1) == pytest.approx(np.zeros(3))


def test_it_falls_with_brightness_where_linear_noise_grows() -> None:
    ratios = {}
    for model in (CameraNoise(), Noise()):
        dark, bright = (
            np.mean([noise_of(model, flat(level, 48), seed).std() for seed in range(40)])
            for level in (0.12, 0.4)
        )
        ratios[type(model)] = bright / dark
    assert 0.6 < ratios[CameraNoise] < 0.95
    assert ratios[Noise] > 1.2


def test_the_green_channel_is_the_quietest_and_red_and_blue_share_most() -> None:
    noise = noise_of(CameraNoise(0.001, 0.003), flat(0.4)).transpose(1, 0, 2, 3).reshape(3, -1)
    red, green, blue = noise.std(1)
    assert green < 0.8 * min(red, blue)
    between = np.corrcoef(noise)
    assert between[0, 2] > max(between[0, 1], between[1, 2]) > 0.05


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_neighbours_are_correlated_like_a_filtered_white_noise(correlation: float) -> None:
    noise = noise_of(CameraNoise(0.001, 0.003, correlation=correlation), flat(0.5))
    taps = np.exp(-0.5 * (np.arange(-9, 10) / max(correlation, 1e-6)) ** 2)
    expected = (taps[1:] * taps[:-1]).sum() / (taps**2).sum()
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.var()
    assert neighbours == pytest.approx(expected, abs=0.02)


def test_strengths_are_drawn_by_their_logarithms() -> None:
    model = CameraNoise(shot=(1e-6, 1e-2), read=0.0, **PLAIN)  # type: ignore[arg-type]
    noise = (model(torch.full((300, 3, 24, 24), 0.5), seed=0) - 0.5).numpy()
    shot = np.log10(noise.var((1, 2, 3)) / 0.5)
    assert np.quantile(shot, [0.02, 0.25, 0.5, 0.75, 0.98]) == pytest.approx(
        [-5.9, -5, -4, -3, -2.1], abs=0.35
    )


def test_no_noise_is_the_clean_image() -> None:
    clean = photograph()
    torch.testing.assert_close(CameraNoise(0, 0)(clean, seed=0), clean, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"gamma": "rec709"}, "gamma=rec709: give srgb"),
        ({"gamma": 0.4}, "gamma=0.4: give srgb"),
        ({"shot": [0, 0.1]}, r"shot=\[0, 0.1\].*does not begin at 0"),
        ({"sharing": 1.5}, "sharing=1.5"),
        ({"gains": 0}, "gains=0"),
    ],
)
def test_an_impossible_camera_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        CameraNoise(**values)  # type: ignore[arg-type]


def test_a_gray_image_has_no_camera() -> None:
    with pytest.raises(ValueError, match="three channels, not 1"):
        CameraNoise()(photograph()[:, :1], seed=0)
