"""SubPixUpsamp: sub-pixel convolution, by default at the top decoder layer alone."""

from torch import Tensor, nn

from ir_lightning.networks.upsamplers.base import Upsampler


def sub_pixel_shuffle(features: Tensor, scale: int) -> Tensor:
    """(B, C r^2, H, W) rearranged to (B, C, rH, rW), r = ``scale``; eq. 15 of arXiv 2212.02198:

    PS(T)[h, w, c] = T[h div r, w div r, C r (w mod r) + C (h mod r) + c].

    Not ``torch.pixel_shuffle``: there the colour is the slowest part of the channel index, here
    it is the fastest, and the column comes before the row.
    """
    batch, channels, height, width = features.shape
    colours = channels // scale**2
    split = features.reshape(batch, scale, scale, colours, height, width)  # w mod r, h mod r, c
    return split.permute(0, 3, 4, 2, 5, 1).reshape(batch, colours, height * scale, width * scale)


class SubPixelShuffle(nn.Module):
    """Eq. 15 as a layer, r = 2."""

    def forward(self, features: Tensor) -> Tensor:
        return sub_pixel_shuffle(features, 2)


class SubPixel(Upsampler):
    """A 3x3 convolution to four times the channels, then the pixel shuffle of eq. 15.

    The paper replaces only the ``top`` up-sampling, hence the other default of ``levels``.
    """

    def __init__(self, levels: str = "top") -> None:
        super().__init__(levels)

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1), SubPixelShuffle()
        )
