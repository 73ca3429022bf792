"""The deraining modules of the paper's Fig. 14, but for their layers that make an image."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_whole, check_wholes
from ir_lightning.networks.enhancers.base import Block, Enhancer, Positions
from ir_lightning.networks.layers import Norm, norm_named


def layer(inputs: int, outputs: int, norm: Norm, dilation: int = 1) -> list[nn.Module]:
    """sigma(BN(W * X + b)) with a 3x3 convolution."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
    return [convolution, norm(outputs), nn.ReLU(inplace=True)]


class ResidualUnit(nn.Module):
    """X^{2l+1} = sigma(BN(W * sigma(BN(W * X^{2l-1})))) + X^{2l-1}; (B, width, H, W) stays so."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layer(width, width, norm), *layer(width, width, norm))

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.layers(features)
        return features + change


class Residual(Enhancer):
    """The residual layers of the deep detail network (Fu et al., "Removing Rain from Single Images
    via a Deep Detail Network", CVPR 2017): (B, C, H, W) to (B, width, H, W).

    X^1 = sigma(BN(W * X)), then ``blocks`` units of two 3x3 convolutions: all but the last of that
    paper's 26 layers, without the guided filter before them. Its batch norm is instance norm by
    default, the same at batch 1 but for a learned scale and shift.

    Args:
        blocks: units of two convolutions.
        width: features.
        norm: ``instance``, ``batch`` or ``none``, behind every convolution.
    """

    def __init__(
        self,
        blocks: int = 12,
        width: int = 16,
        positions: Positions = (1,),
        norm: str = "instance",
        keep_input: bool = False,
    ) -> None:
        super().__init__(positions, keep_input)
        self.blocks = check_whole("blocks", blocks, 1)
        self.width = check_whole("width", width, 1)
        self.norm = norm_named(norm)

    def build(self, channels: int) -> Block:
        units = (ResidualUnit(self.width, self.norm) for _ in range(self.blocks))
        return Block(self.width, *layer(channels, self.width, self.norm), *units)


class AttentionBlock(Block):
    """(B, channels, H, W) to (B, channels + 1, H, W): the input and, behind it, where to look."""

    begins_with_input = True

    def __init__(self, channels: int, steps: int, blocks: int, width: int) -> None:
        super().__init__(out_channels=channels + 1)
        self.steps = steps
        self.width = width
        units = (ResidualUnit(width, nn.Identity) for _ in range(blocks))
        self.extract = nn.Sequential(*layer(channels + 1, width, nn.Identity), *units)
        self.gates = nn.Conv2d(2 * width, 4 * width, 3, padding=1)
        self.attend = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features, self.attention(features)[-1]], dim=1)

    def attention(self, features: Tensor) -> list[Tensor]:
        """A_1 to A_N, each (B, 1, H, W) in [0, 1]."""
        batch, _, height, width = features.shape
        hidden = cell = features.new_zeros(batch, self.width, height, width)
        maps = [features.new_full((batch, 1, height, width), 0.5)]
        for _ in range(self.steps):
            extracted = self.extract(torch.cat([features, maps[-1]], dim=1))
            gates = self.gates(torch.cat([extracted, hidden], dim=1))
            *sigmoid, candidate = gates.chunk(4, dim=1)
            take, keep, show = (gate.sigmoid() for gate in sigmoid)
            cell = keep * cell + take * candidate.tanh()
            hidden = show * cell.tanh()
            maps.append(self.attend(hidden).sigmoid())
        return maps[1:]


class Attention(Enhancer):
    """The attentive-recurrent network (Qian et al., "Attentive Generative Adversarial Network for
    Raindrop Removal from a Single Image", CVPR 2018, arXiv 1711.10098, eq. 3):
    (B, C, H, W) to (B, C + 1, H, W), the input itself and the last attention map.

    In each of N = 4 steps a ResNet sees the input and the map of the step before (0.5 at first), a
    convolutional LSTM without peepholes (they would fix the image's size) remembers, and a
    convolution draws the next map. Decision: a sigmoid keeps the map in [0, 1], that paper's range;
    the authors' code learns the range from masks of the rain, which only raindrop data have.

    Args:
        steps: N; they share their weights, but not statistics, hence no norm.
        blocks: residual units in a step.
        width: features.
    """

    def __init__(
        self,
        steps: int = 4,
        blocks: int = 5,
        width: int = 32,
        positions: Positions = (1,),
        keep_input: bool = True,
    ) -> None:
        super().__init__(positions, keep_input)
        self.steps = check_whole("steps", steps, 1)
        self.blocks = check_whole("blocks", blocks, 1)
        self.width = check_whole("width", width, 1)

    def build(self, channels: int) -> Block:
        return AttentionBlock(channels, self.steps, self.blocks, self.width)


class ContextUnit(nn.Module):
    """x + sum_d path_d(x); a path is two 3x3 convolutions of dilation d. (B, width, H, W) stays."""

    def __init__(self, width: int, dilations: Sequence[int], norm: Norm) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.Sequential(*layer(width, width, norm, d), *layer(width, width, norm, d))
            for d in dilations
        )

    def forward(self, features: Tensor) -> Tensor:
        return sum((path(features) for path in self.paths), features)


class ContextDilated(Enhancer):
    """The contextualized dilated network (Yang et al., "Deep Joint Rain Detection and Removal from
    a Single Image", CVPR 2017, arXiv 1609.07769, section 4.2): (B, C, H, W) to (B, width, H, W).

    A first convolution into feature space, without ReLU; then each block, with weights of its own
    (as in the authors' journal version, JORDER-E), adds to its input the results of three paths of
    dilations 1, 2, 3, that see 5x5, 9x9 and 13x13.

    Args:
        blocks: how often the paths are added ("recurrences" there).
        width: features.
        dilations: one path for each.
        norm: ``instance``, ``batch`` or ``none``, behind the convolutions of the paths.
    """

    def __init__(
        self,
        blocks: int = 9,
        width: int = 64,
        dilations: Sequence[int] = (1, 2, 3),
        positions: Positions = (1,),
        norm: str = "none",
        keep_input: bool = False,
    ) -> None:
        super().__init__(positions, keep_input)
        self.blocks = check_whole("blocks", blocks, 1)
        self.width = check_whole("width", width, 1)
        self.dilations = tuple(check_wholes("dilations", dilations))
        self.norm = norm_named(norm)

    def build(self, channels: int) -> Block:
        units = (ContextUnit(self.width, self.dilations, self.norm) for _ in range(self.blocks))
        return Block(self.width, nn.Conv2d(channels, self.width, 3, padding=1), *units)


class RecursiveBlock(Block):
    """H_0 = sigma(W_0 * x), H_t = sigma(W_3 * sigma(W_2 * sigma(W_1 * H_{t-1}))) + H_0."""

    def __init__(self, channels: int, recursions: int, width: int, norm: Norm) -> None:
        super().__init__(out_channels=width)
        self.first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), norm(width))
        self.shared = nn.ModuleList(
            nn.Conv2d(width, width, kernel, padding=kernel // 2) for kernel in (3, 1, 3)
        )
        self.recursions = recursions
        # Not shared: the batch statistics of one recursion say nothing about the next.
        self.norms = nn.ModuleList(norm(width) for _ in range(3 * recursions))

    def forward(self, features: Tensor) -> Tensor:
        first = F.leaky_relu_(self.first(features), 0.2)
        recursive, norms = first, iter(self.norms)
        for _ in range(self.recursions):
            for convolution in self.shared:
                recursive = F.leaky_relu_(next(norms)(convolution(recursive)), 0.2)
            recursive = recursive + first
        return recursive


class Recursive(Enhancer):
    """A sub-network of LPNet (Fu et al., "Lightweight Pyramid Networks for Image Deraining", TNNLS
    2019, arXiv 1805.06173), without the Laplacian pyramid: (B, C, H, W) to (B, width, H, W).

    A feature extraction, then one block of three convolutions with a shortcut from the first
    features, behind the activation, applied ``recursions`` times with the same weights.

    Args:
        recursions: T.
        width: features; 16 are those of the finest pyramid level.
        norm: ``instance``, ``batch`` or ``none``, behind every convolution.
    """

    def __init__(
        self,
        recursions: int = 5,
        width: int = 16,
        positions: Positions = (1,),
        norm: str = "none",
        keep_input: bool = False,
    ) -> None:
        super().__init__(positions, keep_input)
        self.recursions = check_whole("recursions", recursions, 1)
        self.width = check_whole("width", width, 1)
        self.norm = norm_named(norm)

    def build(self, channels: int) -> Block:
        return RecursiveBlock(channels, self.recursions, self.width, self.norm)


class ContextLayer(nn.Module):
    """sigma(alpha * (W * x + b)): a dilated convolution, and alpha, the weights of its channels.

    The first weights are PyTorch's: all from U(-b, b), b = 1 / sqrt(inputs of an output).
    """

    def __init__(self, inputs: int, outputs: int, squeezed: int, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        squeeze, excite = nn.Linear(outputs, squeezed), nn.Linear(squeezed, outputs)
        self.gate = nn.Sequential(squeeze, nn.ReLU(inplace=True), excite, nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        convolved = self.convolution(features)
        alpha = self.gate(convolved.mean((2, 3)))  # (B, outputs), each from 0 to 1
        return F.leaky_relu_(convolved * alpha[:, :, None, None], 0.2)

    def first_weights(self, random: torch.Generator) -> None:
        for layer in (self.convolution, *self.gate):
            for parameter in layer.parameters():
                bound = cast(Tensor, layer.weight)[0].numel() ** -0.5
                nn.init.uniform_(parameter, -bound, bound, generator=random)


class Scan(Enhancer):
    """SCAN, one stage of RESCAN (Li et al., "Recurrent Squeeze-and-Excitation Context Aggregation
    Net for Single Image Deraining", ECCV 2018, arXiv 1807.05698): (B, C, H, W) to
    (B, width, H, W).

    Six 3x3 convolutions that see 35x35; behind each, a squeeze-and-excitation gate weights every
    channel by its alpha, then LeakyReLU(0.2). No norm can be chosen: behind instance norm every
    mean, and with it the gate, would be a constant. The first weights are PyTorch's, as in that
    code: with pix2pix's N(0, 0.02) six layers without a shortcut hand on a millionth of the image.

    Args:
        width: features.
        dilations: one layer for each.
        reduction: the gate squeezes to width / reduction channels, at least one.
    """

    def __init__(
        self,
        width: int = 24,
        dilations: Sequence[int] = (1, 1, 2, 4, 8, 1),
        reduction: int = 4,
        positions: Positions = (1,),
        keep_input: bool = False,
    ) -> None:
        super().__init__(positions, keep_input)
        self.width = check_whole("width", width, 1)
        self.dilations = tuple(check_wholes("dilations", dilations))
        self.reduction = check_whole("reduction", reduction, 1)

    def build(self, channels: int) -> Block:
        squeezed = max(1, self.width // self.reduction)
        inputs = [channels] + [self.width] * (len(self.dilations) - 1)
        sizes = zip(inputs, self.dilations, strict=True)
        return Block(self.width, *(ContextLayer(n, self.width, squeezed, d) for n, d in sizes))
