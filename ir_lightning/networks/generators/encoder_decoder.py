"""En/Decoder-N, the generator without skip connections."""

from typing import ClassVar

from torch import Tensor, nn

from ir_lightning.networks.generators.base import EncoderDecoderBase
from ir_lightning.networks.upsamplers import Nearest, Upsampler


class EncoderDecoder(EncoderDecoderBase):
    """The paper's En/Decoder with N = ``depth`` layers (appendix F of arXiv 2212.02198).

    3x3 convolutions with 2x2 max-pooling down and nearest-neighbour interpolation up: all that
    the output knows has passed the bottleneck. Arguments: see :class:`EncoderDecoderBase`.
    """

    skips: ClassVar[bool] = False
    native: ClassVar[Upsampler] = Nearest()

    def down(self, in_channels: int, out_channels: int, norm: nn.Module) -> list[nn.Module]:
        # The activation follows the pooling: it is monotonic, so the values are the same and
        # only a quarter of them has to be computed.
        return [nn.Conv2d(in_channels, out_channels, 3, padding=1), norm, nn.MaxPool2d(2)]

    def decode(self, features: list[Tensor]) -> Tensor:
        decoded = features[-1]
        for layer in self.decoder:
            decoded = layer(decoded)
        return decoded
