"""PSNR and SSIM of 8-bit images, exact on every device and in bounded memory."""

from collections.abc import Callable, Iterator

import torch
from kornia.metrics import ssim
from torch import Tensor

from ir_lightning.errors import UsageError

WINDOW = 11
PEAK = 255.0
BAND_PIXELS = 2**18  # about 150 MB of float64 at work, whatever the size of the image


def similarity(
    restored: Tensor, clean: Tensor, planes: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """PSNR (B,) and SSIM (B,); see :meth:`ir_lightning.metrics.protocols.Protocol.score`."""
    _refuse_unscorable(restored, clean)
    # One image at a time: a convolution over a batch need not round as one over an image does.
    with torch.no_grad():
        scores = [_score(*pair, planes) for pair in zip(restored, clean, strict=True)]
    psnr, ssim_mean = torch.stack([torch.stack(score) for score in scores]).unbind(dim=1)
    return psnr, ssim_mean


def _score(
    restored: Tensor, clean: Tensor, planes: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """PSNR and SSIM of one image, (3, H, W)."""
    height, width = clean.shape[-2:]
    squared, similar = [], []
    for first, last in _bands(height, width):
        # The SSIM map of a band needs the whole window below its last row.
        x = planes(_eight_bit(restored[None, :, first : last + WINDOW - 1]))
        y = planes(_eight_bit(clean[None, :, first : last + WINDOW - 1]))
        own = slice(None) if last + WINDOW - 1 == height else slice(last - first)
        squared.append((x - y)[:, :, own].square().sum())
        similar.append(ssim(x, y, WINDOW, max_val=PEAK, eps=0.0, padding="valid").sum())
    count = x.shape[1]
    mse = torch.stack(squared).sum() / (count * height * width)
    mean = torch.stack(similar).sum() / (count * (height - WINDOW + 1) * (width - WINDOW + 1))
    return 10 * torch.log10(PEAK**2 / mse), mean


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Row ranges of the SSIM map, which is 10 rows shorter than the image."""
    rows = height - WINDOW + 1
    step = max(1, BAND_PIXELS // width)
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


def _eight_bit(image: Tensor) -> Tensor:
    """[0, 1] in any precision to whole numbers 0..255 in float64.

    float64, because convolutions in float32 run as TF32 on recent GPUs, with 10 bits of mantissa.
    Apple's GPUs have no float64, so their images are scored on the CPU.
    """
    exact = (image.cpu() if image.device.type == "mps" else image).double()
    return exact.clamp(0, 1).mul(PEAK).round()


def _refuse_unscorable(restored: Tensor, clean: Tensor) -> None:
    if restored.shape != clean.shape or clean.dim() != 4 or clean.shape[1] != 3:
        raise UsageError(
            f"Cannot score {tuple(restored.shape)} against {tuple(clean.shape)}: both must be "
            "(images, 3, height, width) of one size."
        )
    height, width = clean.shape[-2:]
    if min(height, width) < WINDOW:
        raise UsageError(
            f"SSIM needs images of at least {WINDOW} x {WINDOW} pixels, not {width} x {height}; "
            "score larger images."
        )
