"""Every upsampler doubles the image, each in the way its name says."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ir_lightning.errors import UsageError
from ir_lightning.networks.upsamplers import (
    Bilinear,
    Deconv,
    Nearest,
    SubPixel,
    SubPixelShuffle,
    Upsampler,
)

KINDS: list[Callable[..., Upsampler]] = [Deconv, Nearest, Bilinear, SubPixel]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edges", [(1, 1), (5, 3)])
def test_height_and_width_double(kind: Callable[..., Upsampler], edges: tuple[int, int]) -> None:
    layer = kind().build(6, 4)
    assert layer(torch.rand(2, 6, *edges)).shape == (2, 4, 2 * edges[0], 2 * edges[1])


@pytest.mark.parametrize("scale", [2, 3])
def test_pixel_shuffle_is_equation_15(scale: int) -> None:
    colours, height, width = 3, 4, 5
    t = torch.randn(2, colours * scale**2, height, width)
    shuffled = SubPixelShuffle(scale)(t)
    assert shuffled.shape == (2, colours, scale * height, scale * width)
    for h in range(scale * height):
        for w in range(scale * width):
            for c in range(colours):
                channel = colours * scale * (w % scale) + colours * (h % scale) + c
                expected = t[:, channel, h // scale, w // scale]
                assert shuffled[:, c, h, w].equal(expected)


def test_pixel_shuffle_sends_each_gradient_back_to_its_place() -> None:
    t = torch.randn(1, 12, 3, 4, requires_grad=True)
    numbers = torch.arange(t.numel(), dtype=torch.float32).reshape(t.shape)
    shuffle = SubPixelShuffle(2)
    (shuffle(t) * shuffle(numbers)).sum().backward()
    assert t.grad is not None
    assert t.grad.equal(numbers)


def through_identity(upsampler: Upsampler, image: Tensor) -> Tensor:
    """The layer's output when its 3x3 convolution only passes on what it gets."""
    layer = upsampler.build(3, 3)
    convolution = next(m for m in layer.modules() if isinstance(m, nn.Conv2d))
    nn.init.dirac_(convolution.weight)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return layer(image)


@pytest.mark.parametrize(
    ("kind", "flag"), [(Nearest, cv2.INTER_NEAREST), (Bilinear, cv2.INTER_LINEAR)]
)
def test_interpolation_is_that_of_opencv(kind: Callable[..., Upsampler], flag: int) -> None:
    image = torch.rand(1, 3, 5, 7)
    expected = cv2.resize(image[0].permute(1, 2, 0).numpy(), (14, 10), interpolation=flag)
    ours = through_identity(kind(), image)[0].permute(1, 2, 0).detach().numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_where_each_is_used_by_default() -> None:
    assert [kind().levels for kind in KINDS] == ["all", "all", "all", "top"]


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_levels_are_refused(kind: Callable[..., Upsampler]) -> None:
    with pytest.raises(UsageError, match=r"^levels=bottom: choose top or all"):
        kind("bottom")
