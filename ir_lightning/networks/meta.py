"""Networks that have shapes and no weights: built in no time and memory, and what they cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode


@contextmanager
def on_meta() -> Iterator[None]:
    """Put what is made here on the meta device, and leave the random generator as it was."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Draws no first weights: there is no place for them, and torch would import its compiler."""

    DRAWS = (Tensor.normal_, Tensor.uniform_)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self.DRAWS or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


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
