"""The residual deraining block that the paper compares InfoAccum with (Fig. 14)."""

from collections.abc import Sequence

from torch import Tensor, nn

from ir_lightning.arguments import check_whole
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.layers import Norm, norm_named


def layer(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    """sigma(BN(W * X + b)), a layer of the network."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
    return [convolution, norm(outputs), nn.ReLU(inplace=True)]


class ResidualUnit(nn.Module):
    """X^{2l+1} = sigma(BN(W * sigma(BN(W * X^{2l-1})))) + X^{2l-1}; (B, width, H, W) stays so."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layer(width, width, norm), *layer(width, width, norm))

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.layers(features)
        return features + change


class Residual(Enhancer):
    """The residual layers of the deep detail network (Fu et al., "Removing Rain from Single Images
    via a Deep Detail Network", CVPR 2017): (B, C, H, W) to (B, width, H, W).

    X^1 = sigma(BN(W * X)), then X^{2l+1} = sigma(BN(W * sigma(BN(W * X^{2l-1})))) + X^{2l-1}; all
    convolutions are 3x3. That paper's 26 layers of 16 features are the first, 12 such pairs, and
    a last one to three channels. Decisions: the last layer, and the guided filter before the
    first, are left off, because they serve a network from image to image and an encoder takes
    features; so the input does not survive. Its batch norm is instance norm by default, the
    same thing at batch 1 but for a learned scale and shift.

    Args:
        blocks: units of two convolutions.
        width: features.
        positions: see :class:`Enhancer`.
        norm: ``instance``, ``batch`` or ``none``, behind every convolution.

    Raises:
        UsageError: if a number is out of range or the norm unknown.
    """

    def __init__(
        self,
        blocks: int = 12,
        width: int = 16,
        positions: int | Sequence[int] = (1,),
        norm: str = "instance",
    ) -> None:
        super().__init__(positions)
        self.blocks = check_whole("blocks", blocks, 1)
        self.width = check_whole("width", width, 1)
        self.norm = norm_named(norm)

    def build(self, channels: int) -> Block:
        units = (ResidualUnit(self.width, self.norm) for _ in range(self.blocks))
        return Block(self.width, *layer(channels, self.width, self.norm), *units)
