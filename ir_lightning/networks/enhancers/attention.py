"""The attentive recurrent module that the paper compares InfoAccum with (Fig. 14)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ir_lightning.arguments import check_whole
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.enhancers.residual import ResidualUnit, layer


class AttentionBlock(Block):
    """(B, channels, H, W) to (B, channels + 1, H, W): the input and, behind it, where to look.

    Args:
        channels: of the input.
        steps: N; all steps share their weights.
        blocks: residual units in a step.
        width: features.
    """

    def __init__(self, channels: int, steps: int, blocks: int, width: int) -> None:
        super().__init__(out_channels=channels + 1)
        self.steps = steps
        self.width = width
        units = (ResidualUnit(width, nn.Identity) for _ in range(blocks))
        self.extract = nn.Sequential(*layer(channels + 1, width, nn.Identity), *units)
        self.gates = nn.Conv2d(2 * width, 4 * width, 3, padding=1)
        self.attend = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features, self.attention(features)[-1]], dim=1)

    def attention(self, features: Tensor) -> list[Tensor]:
        """A_1 to A_N, each (B, 1, H, W) in [0, 1]."""
        batch, _, height, width = features.shape
        hidden = cell = features.new_zeros(batch, self.width, height, width)
        maps = [features.new_full((batch, 1, height, width), 0.5)]
        for _ in range(self.steps):
            extracted = self.extract(torch.cat([features, maps[-1]], dim=1))
            gates = self.gates(torch.cat([extracted, hidden], dim=1))
            *sigmoid, candidate = gates.chunk(4, dim=1)
            take, keep, show = (gate.sigmoid() for gate in sigmoid)
            cell = keep * cell + take * candidate.tanh()
            hidden = show * cell.tanh()
            maps.append(self.attend(hidden).sigmoid())
        return maps[1:]


class Attention(Enhancer):
    """The attentive-recurrent network (Qian et al., "Attentive Generative Adversarial Network for
    Raindrop Removal from a Single Image", CVPR 2018, arXiv 1711.10098, eq. 3):
    (B, C, H, W) to (B, C + 1, H, W), the input itself and the last attention map.

    In each of N = 4 steps a ResNet of five units sees the input and the map of the step before
    (0.5 everywhere at first), a convolutional LSTM remembers, and a convolution draws the next
    map. Units, 32 features and an LSTM without peepholes, whose weights for each pixel would
    fix the image's size, are those of the authors' code (whose ReLU around a unit's sum changes
    nothing, as no part of the sum is negative). Decisions: a sigmoid keeps the map
    between 0 and 1, the range that paper gives it; the authors' code has none and learns the
    range from masks of the rain, which only raindrop data have, so here the map learns from
    the generator's loss alone. No norm, as there: steps share weights, but not statistics.

    Args:
        steps: N.
        blocks: residual units in a step.
        width: features.
        positions: see :class:`Enhancer`.

    Raises:
        UsageError: if a number is out of range.
    """

    def __init__(
        self,
        steps: int = 4,
        blocks: int = 5,
        width: int = 32,
        positions: int | Sequence[int] = (1,),
    ) -> None:
        super().__init__(positions)
        self.steps = check_whole("steps", steps, 1)
        self.blocks = check_whole("blocks", blocks, 1)
        self.width = check_whole("width", width, 1)

    def build(self, channels: int) -> Block:
        return AttentionBlock(channels, self.steps, self.blocks, self.width)
