"""The block behind InfoAccum and Dense: features that accumulate and are never touched again."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.networks.enhancers.base import Block
from ir_lightning.networks.layers import Norm


class Branches(nn.ModuleList):
    """One 3x3 convolution for each dilation, all of the same features."""

    def __init__(self, inputs: int, outputs: int, dilations: Sequence[int], bias: bool) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=bias)
            for dilation in dilations
        )

    def forward(self, features: Tensor) -> list[Tensor]:
        return [convolution(features) for convolution in self]


class AccumulationBlock(Block):
    """Eq. 14 of arXiv 2212.02198: x_l = concat(x_{l-1}, F_l(x_{l-1}), G_l(x_{l-1}), H_l(x_{l-1})).

    F, G, H: a 3x3 convolution, one for each dilation, then norm and LeakyReLU(0.2) on its
    ``growth`` new features. (B, C, H, W) becomes (B, C + len(dilations) * growth * layers, H, W);
    the first C channels are the input itself.

    Computed the wide way. Convolution is linear, so the pre-activation of layer l is a sum of
    what each earlier piece of x_{l-1} contributes. As soon as a piece exists, one convolution
    per dilation carries it into *all* later layers: the numbers and the parameters of eq. 14
    with few wide convolutions, and with memory linear in the number of layers, because no x_l
    is ever put together before the last.
    """

    def __init__(
        self, channels: int, layers: int, growth: int, dilations: Sequence[int], norm: Norm
    ) -> None:
        new = len(dilations) * growth
        super().__init__(out_channels=channels + new * layers)
        self.growth = growth
        # spread[l] carries what layer l made (0: the input) into the layers l + 1 to L.
        # A layer needs one bias, and the input is the piece that reaches every layer.
        self.spread = nn.ModuleList(
            Branches(channels if made == 0 else new, (layers - made) * growth, dilations, made == 0)
            for made in range(layers)
        )
        self.norms = nn.ModuleList(norm(new) for _ in range(layers))

    def forward(self, features: Tensor) -> Tensor:
        pieces = [features]
        later: list[Tensor] = []  # per dilation: pre-activations of the layers still to come
        for branches, norm in zip(self.spread, self.norms, strict=True):
            sums = branches(pieces[-1])
            if later:
                sums = [fresh.add_(so_far) for fresh, so_far in zip(sums, later, strict=True)]
            now, later = self._split(sums)
            pieces.append(F.leaky_relu_(norm(torch.cat(now, dim=1)), 0.2))
        return torch.cat(pieces, dim=1)

    def _split(self, sums: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Of each sum, the complete part of the next layer, and the rest."""
        rest = sums[0].shape[1] - self.growth
        parts = [torch.split(total, [self.growth, rest], dim=1) for total in sums]
        return [now for now, _ in parts], [later for _, later in parts]
