"""Losses that compare pixels, as plain means; the system multiplies them by ``weight``."""

from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_number


class L1(nn.Module):
    """Eq. 18 of arXiv 2212.02198: E|y - G(x)|, of two (B, C, H, W) in [-1, 1]: 0 to 2."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = check_number("weight", weight, 0)

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        return F.l1_loss(restored, clean)


class MSE(nn.Module):
    """E(y - G(x))^2, of two (B, C, H, W) in [-1, 1]: 0 to 4 (Table III of arXiv 2212.02198)."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = check_number("weight", weight, 0)

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        return F.mse_loss(restored, clean)
