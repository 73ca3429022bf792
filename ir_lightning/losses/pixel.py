"""Losses that compare pixels.

Every loss sees images in [-1, 1], the range in which pix2pix's weight of 100 is meant; the
system converts. A loss returns its plain mean; the system multiplies it by ``weight``.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_number


class L1(nn.Module):
    """Eq. 18 of arXiv 2212.02198: E|y - G(x)|, the mean over all values of the batch.

    Two tensors (B, C, H, W) in [-1, 1] become one number in [0, 2].
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = check_number("weight", weight, 0)

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        return F.l1_loss(restored, clean)


class MSE(nn.Module):
    """E(y - G(x))^2, the loss of the reconstruction experiments (Table III of arXiv 2212.02198).

    Two tensors (B, C, H, W) in [-1, 1] become one number in [0, 4].
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = check_number("weight", weight, 0)

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        return F.mse_loss(restored, clean)
