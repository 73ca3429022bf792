"""Rain blended over a toned photograph, against the equation in numpy."""

import numpy as np
import pytest
import torch

from ir_lightning.data.degradations.blended_rain import BlendedRain
from ir_lightning.data.degradations.models import Rain
from ir_lightning.data.degradations.streaks import Streaks
from ir_lightning.errors import UsageError
from tests.helpers.scenes import photograph

DRY = Streaks(density=0)


def test_streaks_are_screened_over_the_photograph() -> None:
    clean = photograph()
    model = BlendedRain(strength=0.7, toned=0, grain=0)
    streaks = model(torch.zeros_like(clean), seed=4).numpy()  # w S, in front of black
    assert streaks.max() > 0.1
    expected = clean.numpy() + streaks * (1 - clean.numpy())
    np.testing.assert_allclose(model(clean, seed=4).numpy(), expected, atol=1e-6)
    white = torch.ones_like(clean)
    torch.testing.assert_close(model(white, seed=4), white)


def test_tone_is_contrast_about_middle_gray_and_exposure() -> None:
    clean = photograph()
    model = BlendedRain(DRY, toned=1, contrast=0.9, exposure=-0.1, grain=0)
    expected = (0.5 + 0.9 * (clean - 0.5) - 0.1).clamp(0, 1)
    torch.testing.assert_close(model(clean, seed=0), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_tone_of_a_share_of_the_images_is_changed(share: float) -> None:
    clean = torch.full((400, 3, 4, 4), 0.5)
    changed = (BlendedRain(DRY, toned=share, grain=0)(clean, seed=1) != clean).flatten(1).any(1)
    assert changed.float().mean() == pytest.approx(share, abs=0.07)


def test_grain_is_white_and_the_same_in_all_channels() -> None:
    clean = torch.full((2, 3, 100, 100), 0.5)
    grain = (BlendedRain(DRY, toned=0, grain=0.02)(clean, seed=0) - clean).numpy()
    assert grain.std() == pytest.approx(0.02, rel=0.03)
    np.testing.assert_allclose(grain[:, 0], grain[:, 2], atol=1e-6)
    assert abs((grain[..., 1:] * grain[..., :-1]).mean() / grain.var()) < 0.03


def test_strength_multiplies_the_streaks() -> None:
    black = torch.zeros(2, 3, 40, 40)
    faint, strong = (BlendedRain(strength=w, toned=0, grain=0)(black, seed=2) for w in (0.1, 0.3))
    torch.testing.assert_close(strong, 3 * faint, atol=1e-6, rtol=0)


def test_it_is_weaker_than_strong_rain_and_darkens_a_part() -> None:
    clean = photograph(40, 96, 96)
    error, darker = {}, {}
    for model in (BlendedRain(), Rain()):
        change = model(clean, seed=0) - clean
        error[type(model)] = -10 * torch.log10((change**2).mean((1, 2, 3))).median()
        darker[type(model)] = (change.mean(1) < -2 / 255).float().mean().item()
    assert error[BlendedRain] > error[Rain] + 2
    assert darker[Rain] == 0
    assert 0.2 < darker[BlendedRain] < 0.6


def test_an_impossible_strength_is_refused() -> None:
    with pytest.raises(UsageError, match=r"strength=\[0, 1\].*does not begin at 0"):
        BlendedRain(strength=[0, 1])
