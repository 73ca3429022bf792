"""What a network costs: its parameters, and the multiply-adds of one image."""

from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """``parameters`` that are learned and ``multiply_adds`` of one forward pass of one image."""

    parameters: int
    multiply_adds: int


def count(network: nn.Module, size: tuple[int, int] = (256, 256), channels: int = 3) -> Cost:
    """Cost of ``network`` for a (1, channels, height, width) image, on the meta device.

    One multiplication with its addition counts as 1. Counted are convolutions, transposed ones and
    matrix products; biases, norms, activations and interpolations are not. A shared weight is one
    parameter and is counted in each of its multiplications. ``size`` is (height, width) in pixels;
    a generator pads an image that does not fit its depth, and that is what it costs.
    """
    tensors = chain(network.named_parameters(), network.named_buffers())
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    image = torch.empty(1, channels, *size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        functional_call(network, shapes, (image,))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, counter.get_total_flops() // 2)  # both halves of a multiply-add count
