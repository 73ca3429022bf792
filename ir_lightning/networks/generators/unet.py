"""UNet-N, the generator of pix2pix."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from ir_lightning.networks.generators.base import EncoderDecoderBase
from ir_lightning.networks.upsamplers import Deconv, Upsampler


class UNet(EncoderDecoderBase):
    """pix2pix's U-Net with N = ``depth`` layers (Isola et al. 2017, arXiv 1611.07004).

    4x4 convolutions of stride 2 down, transposed ones up, and at every level a skip connection
    that concatenates the encoder's features S_k to the decoder's. With depth 8 it is the
    ``unet_256`` of pix2pix. Arguments: see :class:`EncoderDecoderBase`.
    """

    skips: ClassVar[bool] = True
    native: ClassVar[Upsampler] = Deconv()

    def down(self, in_channels: int, out_channels: int, norm: nn.Module) -> list[nn.Module]:
        return [nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1), norm]

    def decode(self, features: list[Tensor]) -> Tensor:
        *skips, bottleneck = features
        decoded: Tensor = self.decoder[0](bottleneck)
        for layer, skip in zip(self.decoder[1:], reversed(skips), strict=True):
            decoded = layer(torch.cat([skip, decoded], dim=1))
        return decoded
