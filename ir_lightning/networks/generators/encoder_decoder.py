"""The paper's two generators: N layers down, N layers up, images of any size."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from ir_lightning.arguments import check_whole, written
from ir_lightning.errors import UsageError
from ir_lightning.networks.convolutions import Convolution
from ir_lightning.networks.enhancers.base import Enhancer
from ir_lightning.networks.first_weights import GENERATOR, initialise
from ir_lightning.networks.layers import Norm, norm_named, pad_to_multiple
from ir_lightning.networks.shapes import DEEPEST, level_widths, smallest_crop
from ir_lightning.networks.upsamplers import Deconv, Nearest, Upsampler


class EncoderDecoderBase(nn.Module, ABC):
    """(B, channels, H, W) in [0, 1] to the same shape and range, for any H and W.

    Inside, the image is padded to a multiple of 2^depth and mapped to [-1, 1]; the output of
    the tanh is mapped back and cropped.

    Args:
        depth: number of down-and-up-sampling layers N, 1 to 8.
        width: channels w after the first layer; then 2w, 4w, 8w, 8w, ...
        norm: ``instance``, ``batch`` or ``none``. As in pix2pix there is none behind the
            outermost and innermost encoder layer and behind the output.
        dropout: rate in the inner decoder layers, between 8w and 8w channels, which there are from
            depth 6 on: at depth 8 in three of them, as in pix2pix (0.5). Drawn from torch's default
            generator while training. Off in evaluation, where pix2pix's authors leave it on: a
            restored image does not depend on chance.
        enhancer: stands before the encoder layers it names.
        upsampler: how the decoder doubles; None for the generator's native way.
        channels: of the image.

    Raises:
        UsageError: a number is out of range, the norm unknown, or the enhancer stands too deep.
    """

    skips: ClassVar[bool]
    native: ClassVar[Upsampler]

    def __init__(
        self,
        depth: int = 5,
        width: int = 64,
        norm: str = "instance",
        dropout: float = 0.0,
        enhancer: Enhancer | None = None,
        upsampler: Upsampler | None = None,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.depth = check_whole("depth", depth, 1, DEEPEST)
        check_whole("width", width, 1)
        check_whole("channels", channels, 1)
        if type(dropout) not in (int, float) or not 0 <= dropout < 1:
            raise UsageError(f"dropout={written(dropout)}: give a number from 0 to below 1.")
        norm_class = norm_named(norm)
        widths = level_widths(depth, width)
        enhanced = self._add_enhancers(enhancer, [channels, *widths[:-1]])
        self.encoder = nn.ModuleList(
            self._encoder_layer(level, enhanced[level - 1], widths[level - 1], norm_class)
            for level in range(1, depth + 1)
        )
        self.decoder = nn.ModuleList(
            self._decoder_layer(level, [channels, *widths], upsampler, norm_class, dropout)
            for level in range(depth, 0, -1)
        )
        initialise(self, GENERATOR)

    def check_crop(self, crop: int) -> None:
        """Refuse training crops whose side in pixels is below 2^depth, with a UsageError."""
        if crop < smallest_crop(self.depth):
            raise UsageError(
                f"depth={self.depth} halves the image {self.depth} times, which crop={crop} cannot "
                f"carry: set crop={smallest_crop(self.depth)} or more, or a smaller depth."
            )

    def forward(self, degraded: Tensor) -> Tensor:
        height, width = degraded.shape[-2:]
        image = pad_to_multiple(degraded, 2**self.depth) * 2 - 1
        # Back in the image's precision first: in bf16 the last sum would round to 1/256.
        restored = self.decode(self.encode(image)).to(degraded.dtype)
        return (restored[..., :height, :width] + 1) / 2

    def encode(self, image: Tensor) -> list[Tensor]:
        """The features behind every encoder layer, the bottleneck last; ``image`` in [-1, 1]."""
        features = [image]
        for enhance, layer in zip(self.enhancers, self.encoder, strict=True):
            features.append(layer(enhance(features[-1])))
        return features[1:]

    @abstractmethod
    def decode(self, features: list[Tensor]) -> Tensor:
        """From what ``encode`` returned to an image in [-1, 1]."""

    @abstractmethod
    def down(self, in_channels: int, out_channels: int, norm: nn.Module) -> list[nn.Module]:
        """The layers that halve (B, in_channels, H, W), with ``norm`` behind the convolution."""

    def _add_enhancers(self, enhancer: Enhancer | None, inputs: list[int]) -> list[int]:
        """Builds them for the encoder layers' inputs; returns the channels behind them."""
        self.enhancers = nn.ModuleList(nn.Identity() for _ in inputs)
        if enhancer is None:
            return inputs
        deepest, outputs = max(enhancer.positions), list(inputs)
        if deepest > self.depth:
            raise UsageError(
                f"enhancer.positions={list(enhancer.positions)}: there is no encoder layer "
                f"{deepest} at depth={self.depth}; use positions up to {self.depth} or a larger "
                "depth."
            )
        for position in enhancer.positions:
            block = enhancer.block(inputs[position - 1])
            self.enhancers[position - 1] = block
            outputs[position - 1] = block.out_channels
        return outputs

    def _encoder_layer(self, level: int, inputs: int, outputs: int, norm: Norm) -> nn.Module:
        normed = 1 < level < self.depth
        down = self.down(inputs, outputs, norm(outputs) if normed else nn.Identity())
        return nn.Sequential(*down, nn.LeakyReLU(0.2, inplace=True))

    def _decoder_layer(
        self, level: int, widths: list[int], upsampler: Upsampler | None, norm: Norm, dropout: float
    ) -> nn.Module:
        inputs, outputs = widths[level], widths[level - 1]
        if self.skips and level < self.depth:
            inputs *= 2
        chosen = upsampler if upsampler and (upsampler.levels == "all" or level == 1) else None
        layers = [nn.ReLU(), (chosen or self.native).build(inputs, outputs)]
        if level == 1:
            return nn.Sequential(*layers, nn.Tanh())
        layers.append(norm(outputs))
        if dropout and 5 <= level < self.depth:
            layers.append(nn.Dropout(dropout))
        return nn.Sequential(*layers)


class UNet(EncoderDecoderBase):
    """pix2pix's U-Net with N = ``depth`` layers (Isola et al. 2017, arXiv 1611.07004).

    4x4 convolutions of stride 2 down, transposed ones up, and at every level a skip connection
    that concatenates the encoder's features S_k to the decoder's. With depth 8 it is pix2pix's
    ``unet_256``. Arguments: see :class:`EncoderDecoderBase`.
    """

    skips: ClassVar[bool] = True
    native: ClassVar[Upsampler] = Deconv()

    def down(self, in_channels: int, out_channels: int, norm: nn.Module) -> list[nn.Module]:
        return [Convolution(in_channels, out_channels, 4, stride=2, padding=1), norm]

    def decode(self, features: list[Tensor]) -> Tensor:
        *skips, bottleneck = features
        decoded: Tensor = self.decoder[0](bottleneck)
        for layer, skip in zip(self.decoder[1:], reversed(skips), strict=True):
            decoded = layer(torch.cat([skip, decoded], dim=1))
        return decoded


class EncoderDecoder(EncoderDecoderBase):
    """The paper's En/Decoder with N = ``depth`` layers (appendix F of arXiv 2212.02198).

    3x3 convolutions with 2x2 max-pooling down and nearest-neighbour interpolation up: all that
    the output knows has passed the bottleneck. Arguments: see :class:`EncoderDecoderBase`.
    """

    skips: ClassVar[bool] = False
    native: ClassVar[Upsampler] = Nearest()

    def down(self, in_channels: int, out_channels: int, norm: nn.Module) -> list[nn.Module]:
        # The activation, which is monotonic, follows the pooling: a quarter of the values.
        return [Convolution(in_channels, out_channels, 3, padding=1), norm, nn.MaxPool2d(2)]

    def decode(self, features: list[Tensor]) -> Tensor:
        decoded = features[-1]
        for layer in self.decoder:
            decoded = layer(decoded)
        return decoded
