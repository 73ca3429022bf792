"""PSNR over the pixels that nothing had happened to."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from ir_lightning.errors import UsageError
from ir_lightning.metrics.protocols import RGB8, Y_MATLAB
from ir_lightning.metrics.scoring import score_images
from ir_lightning.metrics.similarity import UndegradedPSNR

METRICS = {"undegraded_psnr": UndegradedPSNR()}


def scored(restored: np.ndarray, degraded: np.ndarray, clean: np.ndarray) -> float:
    images = image(restored), image(clean), RGB8, METRICS, image(degraded)
    return score_images(*images)["undegraded_psnr"].item()


def image(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255)


@pytest.fixture
def clean() -> np.ndarray:
    return np.random.default_rng(0).integers(20, 230, (12, 16, 3), dtype=np.uint8)


def test_only_untouched_pixels_count(clean: np.ndarray) -> None:
    rainy, restored = clean.copy(), clean.copy()
    rainy[:, 8:, 1] += 3  # rain in one channel makes a touched pixel
    rainy[:, :8] += 2  # the noise of a JPEG does not
    restored[:, :8] += 5
    restored[:, 8:] = 0
    expected = peak_signal_noise_ratio(clean[:, :8], restored[:, :8])
    assert scored(restored, rainy, clean) == pytest.approx(expected)


def test_a_perfect_copy_and_an_image_that_is_all_rain(clean: np.ndarray) -> None:
    assert scored(clean, clean, clean) == math.inf
    assert math.isnan(scored(clean, clean + 9, clean))


def test_every_image_of_a_batch_has_its_own_pixels(clean: np.ndarray) -> None:
    one, other = clean + 3, clean + 1  # degraded by three grey levels, and by one
    batch = (torch.cat([image(x), image(y)]) for x, y in ((other, one), (clean, clean), (one, one)))
    restored, true, degraded = batch
    degraded[1] = image(other)[0]
    scores = score_images(restored, true, RGB8, METRICS, degraded)["undegraded_psnr"]
    assert math.isnan(scores[0].item())
    assert scores[1].item() == pytest.approx(20 * math.log10(255 / 3))


def test_it_is_left_out_without_degraded_images_and_without_colours(clean: np.ndarray) -> None:
    same = image(clean)
    assert score_images(same, same, RGB8, METRICS) == {}
    assert score_images(same, same, Y_MATLAB, METRICS, same) == {}
    with pytest.raises(UsageError, match="needs the degraded images"):
        UndegradedPSNR()(same, same)
