"""A convolution of a small map is torch's own, whichever way it is computed."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ir_lightning.networks.convolutions import (
    OUTWEIGHED,
    Convolution,
    TransposedConvolution,
    outweighed,
)

WEIGHTS = 64  # rows of weights: 16 positions are few
SHAPES = [(1, 2, 2), (1, 2, 5), (2, 2, 3), (3, 2, 2), (2, 9, 7)]  # batch, height, width
KERNELS = [(4, 2, 1), (3, 1, 1), (1, 1, 0), ((3, 4), (1, 2), (1, 2))]  # kernel, stride, padding


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("shape", "kernel"), itertools.product(SHAPES, KERNELS))
@pytest.mark.parametrize(
    ("own", "reference", "channels"),
    [
        (Convolution, nn.Conv2d, (5, WEIGHTS)),
        (TransposedConvolution, nn.ConvTranspose2d, (WEIGHTS, 5)),
    ],
)
def test_images_and_gradients_are_those_of_torch(
    own: Callable[..., nn.Module],
    reference: Callable[..., nn.Module],
    channels: tuple[int, int],
    shape: tuple[int, int, int],
    kernel: tuple[int, int, int],
    bias: bool,
) -> None:
    torch.manual_seed(0)
    layers = [make(*channels, *kernel, bias=bias).double() for make in (own, reference)]
    layers[0].load_state_dict(layers[1].state_dict())
    batch, *size = shape
    features = torch.rand(batch, channels[0], *size, dtype=torch.float64)
    made: list[list[Tensor]] = []
    for layer in layers:
        given = features.clone().requires_grad_()
        output = layer(given)
        weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output)
        (output * weights).sum().backward()
        gradients = [p.grad for p in layer.parameters() if p.grad is not None]
        assert given.grad is not None
        made.append([output, given.grad, *gradients])
    for mine, theirs in zip(*made, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


def test_only_a_small_map_on_a_cpu_is_outweighed_by_its_weights() -> None:
    """A GPU has kernels for it; on ``meta`` a convolution's products are counted."""
    features = torch.zeros(1, 1, 4, 4)
    assert outweighed(features, 16, 16 * OUTWEIGHED)
    assert not outweighed(features, 17, 16 * OUTWEIGHED)
    assert not outweighed(features.to("meta"), 1, 16 * OUTWEIGHED)
