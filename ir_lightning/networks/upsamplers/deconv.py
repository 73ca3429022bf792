"""Transposed convolution, the up-sampling of pix2pix's U-Net."""

from torch import nn

from ir_lightning.networks.upsamplers.base import Upsampler


class Deconv(Upsampler):
    """A 4x4 transposed convolution of stride 2 (Isola et al. 2017, arXiv 1611.07004)."""

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        return nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)
