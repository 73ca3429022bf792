"""The squeeze-and-excitation context aggregation net, SCAN, of the paper's Fig. 14."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_whole, check_wholes
from ir_lightning.networks.enhancers.base import Block, Enhancer


class DilatedConvolution(nn.Module):
    """A 3x3 convolution that keeps PyTorch's first weights: a generator redraws nn.Conv2d only."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        drawn = nn.Conv2d(inputs, outputs, 3)
        self.weight, self.bias = drawn.weight, drawn.bias
        self.dilation = dilation

    def forward(self, features: Tensor) -> Tensor:
        reach = self.dilation
        return F.conv2d(features, self.weight, self.bias, padding=reach, dilation=reach)


class ContextLayer(nn.Module):
    """sigma(alpha * (W * x + b)): a dilated convolution, and alpha, the weights of its channels.

    Args:
        inputs: channels of x, (B, inputs, H, W).
        outputs: the layer gives (B, outputs, H, W).
        squeezed: features between the two dense layers of the gate.
        dilation: of the convolution.
    """

    def __init__(self, inputs: int, outputs: int, squeezed: int, dilation: int) -> None:
        super().__init__()
        self.convolution = DilatedConvolution(inputs, outputs, dilation)
        self.gate = nn.Sequential(
            nn.Linear(outputs, squeezed),
            nn.ReLU(inplace=True),
            nn.Linear(squeezed, outputs),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        convolved = self.convolution(features)
        alpha = self.gate(convolved.mean((2, 3)))  # (B, outputs), each from 0 to 1
        return F.leaky_relu_(convolved * alpha[:, :, None, None], 0.2)


class Scan(Enhancer):
    """SCAN, one stage of RESCAN (Li et al., "Recurrent Squeeze-and-Excitation Context Aggregation
    Net for Single Image Deraining", ECCV 2018, arXiv 1807.05698): (B, C, H, W) to
    (B, width, H, W).

    Six 3x3 convolutions of dilations 1, 1, 2, 4, 8, 1, that see 35x35; behind each, a
    squeeze-and-excitation gate weights every channel by its alpha (channels only, not places),
    then LeakyReLU(0.2). Dilations, 24 features and the gate's 6 are those of the authors' code.
    Decisions: the last layer, a 1x1 convolution to an image of the rain, is left off, because
    an encoder takes features; so the input does not survive. There is no norm to choose: that
    paper removes it, for channels to keep their own distributions, and behind instance norm
    every mean, and with it the gate, would be a constant. The first weights are PyTorch's, as in
    that code: with pix2pix's N(0, 0.02) six layers without a shortcut hand on a millionth of
    the image, and the whole generator starts to learn much later.

    Args:
        width: features.
        dilations: one layer for each.
        reduction: the gate squeezes to width / reduction channels, at least one.
        positions: see :class:`Enhancer`.

    Raises:
        UsageError: if a number is out of range.
    """

    def __init__(
        self,
        width: int = 24,
        dilations: Sequence[int] = (1, 1, 2, 4, 8, 1),
        reduction: int = 4,
        positions: int | Sequence[int] = (1,),
    ) -> None:
        super().__init__(positions)
        self.width = check_whole("width", width, 1)
        self.dilations = tuple(check_wholes("dilations", dilations))
        self.reduction = check_whole("reduction", reduction, 1)

    def build(self, channels: int) -> Block:
        squeezed = max(1, self.width // self.reduction)
        inputs = [channels, *[self.width] * (len(self.dilations) - 1)]
        layers = (
            ContextLayer(before, self.width, squeezed, dilation)
            for before, dilation in zip(inputs, self.dilations, strict=True)
        )
        return Block(self.width, *layers)
