"""Nearest-neighbour interpolation, the up-sampling of the paper's encoder-decoder."""

from torch import nn

from ir_lightning.networks.upsamplers.base import Upsampler


class Nearest(Upsampler):
    """Every pixel four times, then a 3x3 convolution."""

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )
