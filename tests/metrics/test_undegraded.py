"""PSNR over the pixels that nothing had happened to."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from ir_lightning.metrics.undegraded import undegraded_psnr


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
    assert undegraded_psnr(image(restored), image(rainy), image(clean)) == pytest.approx(expected)


def test_a_perfect_copy_and_an_image_that_is_all_rain(clean: np.ndarray) -> None:
    assert undegraded_psnr(image(clean), image(clean), image(clean)) == math.inf
    assert undegraded_psnr(image(clean), image(clean + 9), image(clean)) is None
