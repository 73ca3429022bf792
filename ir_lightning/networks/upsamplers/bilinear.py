"""Bilinear interpolation."""

from torch import nn

from ir_lightning.networks.upsamplers.base import Upsampler


class Bilinear(Upsampler):
    """Bilinear interpolation with pixels as areas (corners not aligned), then a 3x3 convolution."""

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )
