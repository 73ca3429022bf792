"""PSNR and SSIM: exact on every device, the same in any batch, with small intermediate results."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from ir_lightning.errors import UsageError
from ir_lightning.metrics.scoring import Metric

PEAK = 255.0
GAUSSIAN = [math.exp(-(offset**2) / (2 * 1.5**2)) for offset in range(-5, 6)]
WINDOW = [value / sum(GAUSSIAN) for value in GAUSSIAN]
MARGIN = len(WINDOW) - 1  # the SSIM map is so many rows and columns smaller than the image
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
BAND, TILE = 32, 768  # rows, and columns of all planes, at a time: they stay in the cache
BLOCK = 64  # columns whose means are one product of matrices
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
    squares = [(x[:, own] - y[:, own]).square().sum() for own, _ in _bands(x.shape[-2], BAND)]
    return torch.stack(squares).sum() / x.numel()


def _structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of one image, (C, H, W)."""
    channels, height, width = x.shape
    sums = [
        _ssim_map(x[:, rows, columns], y[:, rows, columns]).sum()
        for _, rows in _bands(height, BAND)
        for _, columns in _bands(width, TILE // channels)
    ]
    return torch.stack(sums).sum() / (channels * (height - MARGIN) * (width - MARGIN))


def _bands(length: int, own: int) -> Iterator[tuple[slice, slice]]:
    """Of each band: its own rows (the last has all that is left), and those its windows see."""
    for first in range(0, max(1, length - MARGIN), own):
        last = min(first + own + MARGIN, length)
        yield slice(first, length if last == length else first + own), slice(first, last)


def _ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """Wang et al. (2004), eq. 13, (C, H, W) to (C, H - 10, W - 10)."""
    x, y = x.movedim(-2, 0), y.movedim(-2, 0)  # rows first, so that their means are one product
    plus, minus = x + y, x - y  # their squares have the other three means in them
    maps = torch.stack([x, y, plus.square_(), minus.square_()], 1)
    mean_x, mean_y, of_plus, of_minus = _blur(maps).unbind(1)
    product, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance = (of_plus - of_minus).div_(4).sub_(product)
    variances = (of_plus + of_minus).div_(2).sub_(squares)
    above = product.mul_(2).add_(C1).mul_(covariance.mul_(2).add_(C2))
    return above.div_(squares.add_(C1).mul_(variances.add_(C2)))


def _blur(maps: Tensor) -> Tensor:
    """Weighted means under the 11 x 11 Gaussian window, where it fits, of (H, ..., W).

    As products with banded matrices, in float64: on a CPU the fastest way by far (a convolution in
    float64 takes many times as long), and on a GPU not rounded to TF32.
    """
    height, *between, width = maps.shape
    down = _means_over(height, maps.device) @ maps.reshape(height, -1)
    # Along the rows in blocks: the band of one large matrix would be mostly zeros.
    block = min(BLOCK, width - MARGIN)
    seen = block + MARGIN
    missing = -(width - MARGIN) % block
    padded = functional.pad(down.view(-1, width), (0, missing))
    parts = padded.unfold(-1, seen, block).reshape(-1, seen)
    across = parts @ _means_over(seen, maps.device).T
    return across.view(height - MARGIN, *between, -1)[..., : width - MARGIN]


@cache
def _means_over(length: int, device: torch.device) -> Tensor:
    """(length - 10, length): row i has the window's weights from column i on."""
    with torch.inference_mode(mode=False):  # it is kept for whoever comes next
        shifted = [torch.full((length - MARGIN,), w, dtype=torch.float64) for w in WINDOW]
        matrix = torch.zeros(length - MARGIN, length, dtype=torch.float64)
        for shift, weights in enumerate(shifted):
            matrix.diagonal(shift).copy_(weights)
        return matrix.to(device)


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
