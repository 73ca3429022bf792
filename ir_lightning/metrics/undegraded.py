"""Does a restorer leave alone what nothing had happened to? (Fig. 5 of arXiv 2212.02198.)"""

import torch
from torch import Tensor

TOLERANCE = 2
"""Grey levels of 255 by which an untouched pixel may differ from the clean one: JPEG's noise."""


def undegraded_psnr(restored: Tensor, degraded: Tensor, clean: Tensor) -> float | None:
    """PSNR of one restored image over the pixels that were not degraded.

    A pixel is untouched where no channel of ``degraded`` is more than ``TOLERANCE`` grey levels
    away from ``clean``. As in the protocol rgb8, all are rounded to 8 bits first.

    Args:
        restored, degraded, clean: (1, 3, H, W) in [0, 1].

    Returns:
        PSNR in dB, infinite if those pixels are exact; None if the whole image was degraded.
    """
    images = (image.detach().clamp(0, 1).mul(255).round() for image in (restored, degraded, clean))
    ours, before, true = images
    untouched = ((before - true).abs() <= TOLERANCE).all(dim=1, keepdim=True).expand_as(true)
    if not untouched.any():
        return None
    error = (ours - true)[untouched].double().square().mean()
    return float(10 * torch.log10(255**2 / error))
