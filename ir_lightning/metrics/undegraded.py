"""Does a restorer leave alone what nothing had happened to? (Fig. 5 of arXiv 2212.02198.)"""

import torch
from torch import Tensor

from ir_lightning.errors import UsageError
from ir_lightning.metrics.metric import Metric

TOLERANCE = 2
"""Grey levels of 255 by which an undegraded pixel may differ from the clean one: JPEG's noise."""


class UndegradedPSNR(Metric):
    """PSNR over the pixels that were not degraded; infinite if those are exact.

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
