"""PSNR and SSIM: exact on every device, the same in any batch, with small intermediate results."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ir_lightning.errors import UsageError
from ir_lightning.metrics.scoring import Metric

PEAK = 255.0
GAUSSIAN = [math.exp(-(offset**2) / (2 * 1.5**2)) for offset in range(-5, 6)]
WINDOW = [value / sum(GAUSSIAN) for value in GAUSSIAN]
MARGIN = len(WINDOW) - 1  # the SSIM map is so many rows and columns smaller than the image
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
BAND_ROWS = 32  # bounds the memory, and keeps a band in the processor's cache
TOLERANCE = 2  # grey levels of 255 by which an undegraded pixel may differ: JPEG's noise


class PSNR(Metric):
    """``10 log10(255^2 / MSE)`` over all planes of an image; infinite for equal images."""

    unit = "dB"

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        with one_thread():
            pairs = zip(restored, clean, strict=True)
            return torch.stack([10 * torch.log10(PEAK**2 / _mean_square(*pair)) for pair in pairs])


class SSIM(Metric):
    """Structural similarity of Wang et al. (2004), 1 for equal images.

    Gaussian window 11 x 11 with sigma 1.5, K = (0.01, 0.03), L = 255, averaged over the region
    where the window fits and then over the planes.

    Raises:
        UsageError: from a call, the images are smaller than 11 x 11.
    """

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        height, width = clean.shape[-2:]
        if min(height, width) <= MARGIN:
            raise UsageError(
                f"SSIM needs images of at least 11 x 11 pixels, not {width} x {height}; "
                "score larger images."
            )
        with one_thread():
            pairs = zip(restored, clean, strict=True)
            return torch.stack([_structural_similarity(*pair) for pair in pairs])


@contextmanager
def one_thread() -> Iterator[None]:
    """Bands are too small to share between threads, which on a busy machine only wait."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _mean_square(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared error of one image, (C, H, W)."""
    squares = [(x[:, own] - y[:, own]).square().sum() for own, _ in _bands(x.shape[-2])]
    return torch.stack(squares).sum() / x.numel()


def _structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of one image, (C, H, W)."""
    channels, height, width = x.shape
    sums = [_ssim_map(x[:, seen], y[:, seen]).sum() for _, seen in _bands(height)]
    return torch.stack(sums).sum() / (channels * (height - MARGIN) * (width - MARGIN))


def _bands(height: int) -> Iterator[tuple[slice, slice]]:
    """Rows of each band: its own (the last has all that is left), and those its windows see."""
    for first in range(0, max(1, height - MARGIN), BAND_ROWS):
        last = min(first + BAND_ROWS + MARGIN, height)
        yield slice(first, height if last == height else first + BAND_ROWS), slice(first, last)


def _ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """Wang et al. (2004), eq. 13, (C, H, W) to (C, H - 10, W - 10)."""
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance, variances = mean_xy - product, mean_xx + mean_yy - squares
    above = (2 * product + C1) * (2 * covariance + C2)
    return torch.div(above, (squares + C1) * (variances + C2))


def _blur(maps: Tensor) -> Tensor:
    """Weighted means under the 11 x 11 Gaussian window, where the window fits."""
    # Shifted slices in float64: convolutions run as TF32 on recent GPUs in float32, and are six
    # times slower on a CPU in float64.
    for axis in (-2, -1):
        length = maps.shape[axis] - MARGIN
        blurred = torch.zeros_like(maps.narrow(axis, 0, length))
        for shift, weight in enumerate(WINDOW):
            blurred.add_(maps.narrow(axis, shift, length), alpha=weight)
        maps = blurred
    return maps


class UndegradedPSNR(Metric):
    """PSNR over the pixels that were not degraded; infinite if those are exact (Fig. 5 of arXiv
    2212.02198).

    A pixel is undegraded where no channel of ``degraded`` is more than ``TOLERANCE`` grey levels
    away from ``clean``. Not defined where the whole image was degraded.
    """

    unit = "dB"
    colour = True
    needs_degraded = True

    def __call__(self, restored: Tensor, clean: Tensor, degraded: Tensor | None = None) -> Tensor:
        if degraded is None:
            raise UsageError("The PSNR of undegraded pixels needs the degraded images as well.")
        kept = ((degraded - clean).abs() <= TOLERANCE).all(dim=1, keepdim=True).expand_as(clean)
        squares = (restored - clean).square()
        mse = [square[of_image].mean() for square, of_image in zip(squares, kept, strict=True)]
        return 10 * torch.log10(255**2 / torch.stack(mse))
