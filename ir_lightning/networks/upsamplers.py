"""Ways of doubling an image in the decoder: sub-pixel convolution, and what it replaces."""

from abc import ABC, abstractmethod

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


class SubPixel(Upsampler):
    """A 3x3 convolution to four times the channels, then the pixel shuffle of eq. 15."""

    def __init__(self, levels: str = "top") -> None:
        super().__init__(levels)

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        convolution = Convolution(in_channels, 4 * out_channels, 3, padding=1)
        return nn.Sequential(convolution, SubPixelShuffle())
