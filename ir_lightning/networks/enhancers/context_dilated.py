"""The contextualized dilated block that the paper compares InfoAccum with (Fig. 14)."""

from collections.abc import Sequence

from torch import Tensor, nn

from ir_lightning.arguments import check_whole, check_wholes
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.layers import Norm, norm_named


class ContextUnit(nn.Module):
    """x + sum_d path_d(x); a path is two 3x3 convolutions of dilation d. (B, width, H, W) stays."""

    def __init__(self, width: int, dilations: Sequence[int], norm: Norm) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.Sequential(*self._layer(width, d, norm), *self._layer(width, d, norm))
            for d in dilations
        )

    def forward(self, features: Tensor) -> Tensor:
        total = features
        for path in self.paths:
            total = total + path(features)
        return total

    def _layer(self, width: int, dilation: int, norm: Norm) -> list[nn.Module]:
        convolution = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        return [convolution, norm(width), nn.ReLU(inplace=True)]


class ContextDilated(Enhancer):
    """The contextualized dilated network (Yang et al., "Deep Joint Rain Detection and Removal from
    a Single Image", CVPR 2017, arXiv 1609.07769, section 4.2): (B, C, H, W) to (B, width, H, W).

    A first convolution into feature space; then each block adds to its input the results of
    three paths of dilations 1, 2, 3, that see 5x5, 9x9 and 13x13. Decisions, all as in the
    code of the authors' journal version (JORDER-E): 9 blocks of 64 features, each with weights
    of its own although that paper calls them recurrences; ReLU behind each convolution of a path
    and none behind the first; no norm, but one can be chosen. The layers behind, which predict
    the rain, are left off; so the input does not survive.

    Args:
        blocks: how often the paths are added ("recurrences" there).
        width: features.
        dilations: one path for each.
        positions: see :class:`Enhancer`.
        norm: ``instance``, ``batch`` or ``none``, behind the convolutions of the paths.

    Raises:
        UsageError: if a number is out of range or the norm unknown.
    """

    def __init__(
        self,
        blocks: int = 9,
        width: int = 64,
        dilations: Sequence[int] = (1, 2, 3),
        positions: int | Sequence[int] = (1,),
        norm: str = "none",
    ) -> None:
        super().__init__(positions)
        self.blocks = check_whole("blocks", blocks, 1)
        self.width = check_whole("width", width, 1)
        self.dilations = tuple(check_wholes("dilations", dilations))
        self.norm = norm_named(norm)

    def build(self, channels: int) -> Block:
        units = (ContextUnit(self.width, self.dilations, self.norm) for _ in range(self.blocks))
        return Block(self.width, nn.Conv2d(channels, self.width, 3, padding=1), *units)
