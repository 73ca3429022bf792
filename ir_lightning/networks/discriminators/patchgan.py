"""The PatchGAN discriminator of pix2pix."""

import torch
from torch import Tensor, nn

from ir_lightning.arguments import check_whole
from ir_lightning.errors import UsageError
from ir_lightning.networks.layers import initialise, norm_named
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
        UsageError: if a number is out of range or the norm unknown, and from ``forward`` if the
            image is smaller than :func:`smallest_image`.
    """

    def __init__(
        self, layers: int = 5, width: int = 64, norm: str = "instance", channels: int = 3
    ) -> None:
        super().__init__()
        check_whole("width", width, 1)
        check_whole("channels", channels, 1)
        strides = patch_strides(layers)
        self.count = layers
        norm_class = norm_named(norm)
        self.smallest = smallest_image(layers)
        self.layers = nn.Sequential()
        inputs = 2 * channels
        for layer, outputs in enumerate(level_widths(layers - 1, width)):
            self.layers.append(nn.Conv2d(inputs, outputs, KERNEL, strides[layer], padding=1))
            if layer > 0:
                self.layers.append(norm_class(outputs))
            self.layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        self.layers.append(nn.Conv2d(inputs, 1, KERNEL, strides[-1], padding=1))
        initialise(self)

    def check_crop(self, crop: int) -> None:
        """Refuse crops out of which no logit is made.

        Raises:
            UsageError: ``crop``, their side in pixels, is below :func:`smallest_image`.
        """
        if crop < self.smallest:
            raise UsageError(
                f"layers={self.count} needs crops of at least {self.smallest} pixels, but "
                f"crop={crop}: use fewer layers or larger crops."
            )

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        self.check_crop(min(image.shape[-2:]))
        logits: Tensor = self.layers(torch.cat([degraded, image], dim=1) * 2 - 1)
        return logits
