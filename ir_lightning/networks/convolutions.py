"""Convolutions that know when their weights outweigh what they see.

At the bottom of a deep U-Net 34 MB of weights meet a map of 16 pixels. A CPU's convolution
rearranges all its weights first, in every pass, for a few products each; a matrix product reads
them once, as they lie. Both compute the same sums, in another order. Which one it is depends on
shapes alone, so that a run repeats itself to the last bit.
"""

import math
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

Pair = tuple[int, int]

OUTWEIGHED = 4
"""By how much a layer's rows of weights must outnumber its patches: from there on the matrix
product is 1.2 to 3 times as fast, and at half of it no faster (``benchmarks/layers.py``)."""


class Convolution(nn.Conv2d):
    """``nn.Conv2d`` without dilation and groups, padded by zeros; quick on small maps, too."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, ``in_channels``, H, W) to (B, ``out_channels``, H', W')."""
        kernel, stride, padding = self.kernel_size, self.stride, cast(Pair, self.padding)
        height, width = (
            (features.shape[2 + i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in (0, 1)
        )
        if not outweighed(features, len(features) * height * width, self.out_channels):
            return super().forward(features)
        patches = F.unfold(features, kernel, 1, padding, stride)
        made = apart(self.weight.flatten(1) @ side_by_side(patches), len(features))
        return with_bias(made.view(*made.shape[:2], height, width), self.bias)


class TransposedConvolution(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d``, under the conditions of :class:`Convolution`."""

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, ``in_channels``, H, W) to (B, ``out_channels``, H', W')."""
        batch, _, *edges = features.shape
        if output_size or not outweighed(features, batch * math.prod(edges), self.in_channels):
            return super().forward(features, output_size)
        kernel, stride, padding = self.kernel_size, self.stride, cast(Pair, self.padding)
        height, width = ((edges[i] - 1) * stride[i] - 2 * padding[i] + kernel[i] for i in (0, 1))
        patches = apart(self.weight.flatten(1).T @ side_by_side(features.flatten(2)), batch)
        return with_bias(F.fold(patches, (height, width), kernel, 1, padding, stride), self.bias)


def outweighed(features: Tensor, positions: int, weights: int) -> bool:
    """Whether so many weights meet few positions, on a CPU."""
    return features.device.type == "cpu" and OUTWEIGHED * positions <= weights


def side_by_side(patches: Tensor) -> Tensor:
    """(B, K, P) to (K, B P), so that one product serves the whole batch."""
    return patches.transpose(0, 1).flatten(1)


def apart(patches: Tensor, batch: int) -> Tensor:
    """(K, B P) to (B, K, P)."""
    return patches.view(len(patches), batch, -1).transpose(0, 1)


def with_bias(features: Tensor, bias: Tensor | None) -> Tensor:
    """(B, C, H, W) with each channel's bias added."""
    return features if bias is None else features + bias[:, None, None]
