"""PSNR and SSIM of 8-bit images: exact on every device, the same in any batch, in bounded memory.

Sums of shifted slices in float64 replace convolutions. In float32 those run as TF32 on recent GPUs,
with 10 bits of mantissa; in float64 they are six times slower on a CPU than the slices.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ir_lightning.errors import UsageError

PEAK = 255.0
GAUSSIAN = [math.exp(-(offset**2) / (2 * 1.5**2)) for offset in range(-5, 6)]
WINDOW = [value / sum(GAUSSIAN) for value in GAUSSIAN]
MARGIN = len(WINDOW) - 1  # the SSIM map is so many rows and columns smaller than the image
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
BAND_ROWS = 32  # bounds the memory, and keeps a band in the processor's cache


def similarity(
    restored: Tensor, clean: Tensor, planes: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """PSNR (B,) and SSIM (B,); see :meth:`ir_lightning.metrics.protocols.Protocol.score`."""
    _refuse_unscorable(restored, clean)
    with torch.no_grad(), torch.autocast(clean.device.type, enabled=False), _one_thread():
        scores = [_score(*pair, planes) for pair in zip(restored, clean, strict=True)]
    psnr, ssim = zip(*scores, strict=True)
    return torch.stack(psnr), torch.stack(ssim)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Bands are too small to share between threads, which on a busy machine only wait.

    Two busy cores: 0.05 s for a 620 x 460 image with one thread, 0.1 to 0.4 s with two.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _score(
    restored: Tensor, clean: Tensor, planes: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """PSNR and SSIM of one image, (3, H, W)."""
    height = clean.shape[-2]
    squared, similar, pixels, windows = [], [], 0, 0
    for first in range(0, height - MARGIN, BAND_ROWS):
        last = min(first + BAND_ROWS + MARGIN, height)
        x = planes(_eight_bit(restored[:, first:last]))
        y = planes(_eight_bit(clean[:, first:last]))
        # The next band begins MARGIN rows before the end of this one.
        own = slice(None) if last == height else slice(BAND_ROWS)
        difference, ssim_map = (x - y)[:, own], _ssim_map(x, y)
        squared.append(difference.square().sum())
        similar.append(ssim_map.sum())
        pixels += difference.numel()
        windows += ssim_map.numel()
    mse = torch.stack(squared).sum() / pixels
    return 10 * torch.log10(PEAK**2 / mse), torch.stack(similar).sum() / windows


def _ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """Wang et al. (2004), eq. 13, (C, H, W) to (C, H - 10, W - 10)."""
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance, variances = mean_xy - product, mean_xx + mean_yy - squares
    return (2 * product + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))


def _blur(maps: Tensor) -> Tensor:
    """Weighted means under the 11 x 11 Gaussian window, where the window fits."""
    for axis in (-2, -1):
        length = maps.shape[axis] - MARGIN
        blurred = torch.zeros_like(maps.narrow(axis, 0, length))
        for shift, weight in enumerate(WINDOW):
            blurred.add_(maps.narrow(axis, shift, length), alpha=weight)
        maps = blurred
    return maps


def _eight_bit(image: Tensor) -> Tensor:
    """[0, 1] in any precision to whole numbers 0..255 in float64.

    Apple's GPUs have no float64, so their images are scored on the CPU.
    """
    exact = (image.cpu() if image.device.type == "mps" else image).double()
    return exact.clamp(0, 1).mul(PEAK).round()


def _refuse_unscorable(restored: Tensor, clean: Tensor) -> None:
    if restored.shape != clean.shape or clean.dim() != 4 or clean.shape[1] != 3 or not len(clean):
        raise UsageError(
            f"Cannot score {tuple(restored.shape)} against {tuple(clean.shape)}: both must be "
            "(images, 3, height, width) of one size."
        )
    height, width = clean.shape[-2:]
    if min(height, width) <= MARGIN:
        raise UsageError(
            f"SSIM needs images of at least 11 x 11 pixels, not {width} x {height}; "
            "score larger images."
        )
