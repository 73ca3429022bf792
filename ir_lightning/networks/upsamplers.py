"""Ways of doubling an image in the decoder: sub-pixel convolution, and what it replaces."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ir_lightning.arguments import check_choice
from ir_lightning.networks.convolutions import Convolution, TransposedConvolution


class Upsampler(ABC):
    """A recipe for the up-sampling layers of a decoder; a subclass only writes ``build``.

    Args:
        levels: which decoder layers use it: ``all``, or only the ``top`` one, which makes the
            full resolution. The others then keep the generator's native way.

    Raises:
        UsageError: any other ``levels``.
    """

    def __init__(self, levels: str = "all") -> None:
        self.levels = check_choice("levels", levels, ("top", "all"))

    @abstractmethod
    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        """A layer from (B, in_channels, H, W) to (B, out_channels, 2H, 2W)."""


class Deconv(Upsampler):
    """A 4x4 transposed convolution of stride 2 (Isola et al. 2017, arXiv 1611.07004)."""

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        return TransposedConvolution(in_channels, out_channels, 4, stride=2, padding=1)


class Nearest(Upsampler):
    """Every pixel four times, then a 3x3 convolution."""

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        doubled = nn.Upsample(scale_factor=2, mode="nearest")
        return nn.Sequential(doubled, Convolution(in_channels, out_channels, 3, padding=1))


class Bilinear(Upsampler):
    """Bilinear interpolation with pixels as areas (corners not aligned), then a 3x3 convolution."""

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        doubled = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        return nn.Sequential(doubled, Convolution(in_channels, out_channels, 3, padding=1))


class SubPixelShuffle(nn.Module):
    """(B, C r^2, H, W) rearranged to (B, C, rH, rW), r = ``scale``; eq. 15 of arXiv 2212.02198:

    PS(T)[h, w, c] = T[h div r, w div r, C r (w mod r) + C (h mod r) + c].

    Not ``torch.pixel_shuffle``: there the colour is the slowest part of the channel index, here
    it is the fastest, and the column comes before the row.
    """

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        batch, _, height, width = features.shape
        scale = self.scale
        split = features.reshape(batch, scale, scale, -1, height, width)  # w mod r, h mod r, c
        shuffled = split.permute(0, 3, 4, 2, 5, 1)
        return shuffled.reshape(batch, -1, height * scale, width * scale)


class ICNRConvolution(Convolution):
    """A 3x3 convolution for :class:`SubPixelShuffle` whose first image has no checkerboard.

    (B, in_channels, H, W) to (B, out_channels r^2, H, W), r = ``scale``. The r^2 sub-kernels that
    make one channel, every ``out_channels``-th one in eq. 15's order, begin equal: what is shuffled
    at first is each pixel r^2 times ("ICNR", Aitken et al. 2017, arXiv 1707.02937).
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int = 2) -> None:
        super().__init__(in_channels, scale**2 * out_channels, 3, padding=1)
        self.phases = scale**2
        self._repeat()

    def first_weights(self, random: torch.Generator) -> None:
        """As of every convolution, N(0, 0.02) and bias 0, for one sub-kernel of each channel."""
        nn.init.normal_(self.weight, 0.0, 0.02, generator=random)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self._repeat()

    @torch.no_grad()
    def _repeat(self) -> None:
        for parameter in self.parameters():
            first, *others = parameter.chunk(self.phases)
            for other in others:
                other.copy_(first)


class SubPixel(Upsampler):
    """A 3x3 convolution to four times the channels, then the pixel shuffle of eq. 15.

    Args:
        levels: see :class:`Upsampler`.
        init: ``icnr``: the four sub-kernels of a channel begin equal, so that no checkerboard has
            to be unlearned; ``normal``: each from N(0, 0.02) by itself.

    Raises:
        UsageError: any other ``levels`` or ``init``.
    """

    def __init__(self, levels: str = "top", init: str = "icnr") -> None:
        super().__init__(levels)
        self.init = check_choice("init", init, ("icnr", "normal"))

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        if self.init == "icnr":
            return nn.Sequential(ICNRConvolution(in_channels, out_channels), SubPixelShuffle())
        convolution = Convolution(in_channels, 4 * out_channels, 3, padding=1)
        return nn.Sequential(convolution, SubPixelShuffle())
