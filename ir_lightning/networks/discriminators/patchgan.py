"""The PatchGAN discriminator of pix2pix, and its multi-scale variant after ID-CGAN."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_whole, check_wholes
from ir_lightning.errors import UsageError
from ir_lightning.networks.convolutions import Convolution
from ir_lightning.networks.first_weights import DISCRIMINATOR, initialise
from ir_lightning.networks.layers import norm_named
from ir_lightning.networks.shapes import KERNEL, level_widths, patch_strides, smallest_image


class PatchGAN(nn.Module):
    """D(x, y): does y look like the clean image of x, patch by patch?

    Two images (B, channels, H, W) in [0, 1] become logits (B, 1, h, w), one for each overlapping
    patch; five layers judge 70x70 pixels (Isola et al. 2017, arXiv 1611.07004).

    Args:
        layers: 4x4 convolutions in all, of stride 2 but for the last two; at least 2.
        width: channels w after the first; then 2w, 4w, 8w, 8w, ..., and one logit.
        norm: ``instance``, ``batch`` or ``none``, behind all but the first and the last.
        channels: of each of the two images.

    Raises:
        UsageError: a number is out of range, the norm unknown, or an image of ``forward`` smaller
            than :func:`smallest_image`.

    Attributes:
        independent: an image is judged by itself, whatever else is in its batch.
    """

    def __init__(
        self, layers: int = 5, width: int = 64, norm: str = "instance", channels: int = 3
    ) -> None:
        super().__init__()
        check_whole("width", width, 1)
        inputs = 2 * check_whole("channels", channels, 1)
        self.count = layers
        *strides, last = patch_strides(layers)
        norm_class = norm_named(norm)
        self.smallest = smallest_image(layers)
        self.independent = norm != "batch"
        self.layers = nn.Sequential()
        for outputs, stride in zip(level_widths(layers - 1, width), strides, strict=True):
            self.layers.append(Convolution(inputs, outputs, KERNEL, stride, padding=1))
            if len(self.layers) > 1:
                self.layers.append(norm_class(outputs))
            self.layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        self.layers.append(Convolution(inputs, 1, KERNEL, last, padding=1))
        initialise(self, DISCRIMINATOR)

    def check_crop(self, crop: int) -> None:
        """Refuse crops whose side in pixels is below :func:`smallest_image`, with a UsageError."""
        if crop < self.smallest:
            raise UsageError(
                f"layers={self.count} needs crops of at least {self.smallest} pixels, but "
                f"crop={crop}: use fewer layers or larger crops."
            )

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        self.check_crop(min(image.shape[-2:]))
        return cast(Tensor, self.layers(torch.cat([degraded, image], dim=1) * 2 - 1))


class MultiScale(PatchGAN):
    """D(x, y) that judges every patch by what is around it too, up to the whole image.

    Zhang, Sindagi and Patel, "Image De-raining Using a Conditional GAN" (arXiv 1701.05957): plain
    convolutions, then a module that pools their features at several scales, up-samples (nearest)
    and concatenates them, and a verdict. Two images (B, channels, H, W) in [0, 1] become logits
    (B, 1, h, w), as many as those of a PatchGAN with the same ``layers``. What the description
    leaves open is decided here, so that the two compare in the scales and in little else:

    - Patches and smallest image are those of :class:`PatchGAN`, but the last convolution gives
      ``width`` features instead of a logit: 3.3 million parameters for 2.8 million. No norm behind
      it: instance norm would take away the averages that are pooled.
    - The scales are grids of n x n cells over the image, so that they suit any crop and n = 1 is
      all of it. As in PSPNet (arXiv 1612.01105) they are 1, 2, 3, 6, and a 1x1 convolution and an
      activation stand behind each pooling, to as many channels as the patches in all.

    Args:
        layers, width, norm, channels: see :class:`PatchGAN`; the last convolution has w channels.
        scales: cells to a side of each grid; different whole numbers from 1.

    Raises:
        UsageError: as :class:`PatchGAN`, or the scales are not such numbers.
    """

    def __init__(
        self,
        layers: int = 5,
        width: int = 64,
        norm: str = "instance",
        channels: int = 3,
        scales: Sequence[int] = (1, 2, 3, 6),
    ) -> None:
        super().__init__(layers, width, norm, channels)
        patches = Convolution(level_widths(layers - 1, width)[-1], width, KERNEL, 1, padding=1)
        pyramid = Pyramid(width, scales)
        verdict = Convolution(pyramid.out_channels, 1, 1)
        self.layers[-1] = nn.Sequential(patches, nn.LeakyReLU(0.2), pyramid, verdict)
        initialise(self, DISCRIMINATOR)


class Pyramid(nn.Module):
    """Puts beside the features of each position what the cells in which it lies are like.

    (B, C, h, w) becomes (B, ``out_channels``, h, w): the C features as they were, then C over the
    number of ``scales`` (at least one) for each of them.
    """

    def __init__(self, channels: int, scales: Sequence[int]) -> None:
        super().__init__()
        self.scales = tuple(check_wholes("scales", scales, distinct=True))
        narrow = max(1, channels // len(self.scales))
        self.levels = nn.ModuleList(Convolution(channels, narrow, 1) for _ in self.scales)
        self.out_channels = channels + narrow * len(self.scales)

    def forward(self, features: Tensor) -> Tensor:
        known = [features]
        for scale, level in zip(self.scales, self.levels, strict=True):
            cells = F.leaky_relu(level(F.adaptive_avg_pool2d(features, scale)), 0.2)
            known.append(F.interpolate(cells, features.shape[-2:], mode="nearest"))
        return torch.cat(known, dim=1)
