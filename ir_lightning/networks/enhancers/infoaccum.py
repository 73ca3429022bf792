"""InfoAccum, the paper's detail-enhancing module, and Dense: features that accumulate."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_whole, check_wholes
from ir_lightning.errors import UsageError
from ir_lightning.networks.enhancers.base import Block, Enhancer, Positions
from ir_lightning.networks.layers import Norm, norm_named


class AccumulationBlock(Block):
    """Eq. 14 of arXiv 2212.02198: x_l = concat(x_{l-1}, F_l(x_{l-1}), G_l(x_{l-1}), H_l(x_{l-1})).

    F, G, H: a 3x3 convolution, one for each dilation, then norm and LeakyReLU(0.2) on its
    ``growth`` new features. (B, C, H, W) becomes (B, C + len(dilations) * growth * layers, H, W);
    the first C channels are the input itself.

    Computed the wide way. The pre-activation of layer l is a sum of what each earlier piece of
    x_{l-1} contributes. As soon as a piece exists, one convolution per dilation carries it into
    *all* later layers: few wide convolutions, and memory linear in the number of layers.
    """

    begins_with_input = True

    def __init__(
        self, channels: int, layers: int, growth: int, dilations: Sequence[int], norm: Norm
    ) -> None:
        new = len(dilations) * growth
        super().__init__(out_channels=channels + new * layers)
        self.growth = growth
        # spread[l] carries what layer l made (0: the input) into the layers l + 1 to L.
        # A layer needs one bias, and the input is the piece that reaches every layer.
        self.spread = nn.ModuleList()
        for made in range(layers):
            sizes = (new if made else channels), (layers - made) * growth
            branches = (nn.Conv2d(*sizes, 3, 1, d, d, bias=not made) for d in dilations)
            self.spread.append(nn.ModuleList(branches))
        self.norms = nn.ModuleList(norm(new) for _ in range(layers))

    def forward(self, features: Tensor) -> Tensor:
        together = pixelwise(features)
        layout = torch.channels_last if together else torch.contiguous_format
        pieces = [features.contiguous(memory_format=layout)]
        later: list[Tensor] = []  # per dilation: pre-activations of the layers still to come
        for branches, norm in zip(self.spread, self.norms, strict=True):
            sums = [convolution(pieces[-1]) for convolution in cast(nn.ModuleList, branches)]
            if later:
                sums = [fresh.add_(so_far) for fresh, so_far in zip(sums, later, strict=True)]
            if more := sums[0].shape[1] - self.growth:
                halves = [total.split([self.growth, more], dim=1) for total in sums]
                sums, later = ([half[side] for half in halves] for side in (0, 1))
            new = torch.cat(sums, dim=1)
            made = F.leaky_relu_(norm(planes(new) if together else new), 0.2)
            pieces.append(made.contiguous(memory_format=layout))
        return torch.cat(pieces, dim=1)


def pixelwise(features: Tensor) -> bool:
    """Whether convolutions of these are quicker with the channels of a pixel together in memory.

    On a CPU in float32 thin maps are, by a half. In bfloat16 oneDNN 3.12 gives wrong gradients for
    the weights of a dilated convolution so: it reads memory that nobody has written.
    """
    on_cpu = features.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return on_cpu and features.dtype == torch.float32


def planes(features: Tensor) -> Tensor:
    """See :class:`Planes`."""
    return cast(Tensor, Planes.apply(features))  # type: ignore[no-untyped-call]


class Planes(torch.autograd.Function):
    """From the channels of a pixel together to planes, and its gradient the way back.

    Autograd would hand on planes, and every convolution before would rearrange its gradients.
    """

    @staticmethod
    def forward(_: Any, features: Tensor) -> Tensor:
        return features.clone(memory_format=torch.contiguous_format)  # it is written into

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous(memory_format=torch.channels_last)


class InfoAccum(Enhancer):
    """Eq. 14 of arXiv 2212.02198; ``layers`` = 15 is the InfoAccum-15 of the tables.

    Args:
        layers: L; 0 changes nothing (the start of a sweep over L).
        growth: new channels of each branch in each layer.
        dilations: one branch for each.
        norm: ``instance``, ``batch`` or ``none``, on the new features.
        keep_input: False hands on x_L without its first C channels; inside, nothing changes.
    """

    def __init__(
        self,
        layers: int = 15,
        growth: int = 8,
        dilations: Sequence[int] = (1, 3, 5),
        positions: Positions = (1,),
        norm: str = "instance",
        keep_input: bool = True,
    ) -> None:
        super().__init__(positions, keep_input)
        self.layers = check_whole("layers", layers, 0)
        self.growth = check_whole("growth", growth, 1)
        self.dilations = tuple(check_wholes("dilations", dilations))
        self.norm = norm_named(norm)
        if not (layers or keep_input):
            raise UsageError("keep_input=false: nothing is left of layers=0; give more layers.")

    def build(self, channels: int) -> Block:
        return AccumulationBlock(channels, self.layers, self.growth, self.dilations, self.norm)


class Dense(InfoAccum):
    """Eq. 13 of arXiv 2212.02198: densely connected 3x3 convolutions, x_l = concat(x_{l-1}, F_l).

    InfoAccum with one branch; 24 is the growth of its three branches of 8.
    """

    def __init__(
        self,
        layers: int = 15,
        growth: int = 24,
        dilations: Sequence[int] = (1,),
        positions: Positions = (1,),
        norm: str = "instance",
        keep_input: bool = True,
    ) -> None:
        super().__init__(layers, growth, dilations, positions, norm, keep_input)
