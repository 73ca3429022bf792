"""Every upsampler doubles the image, each in the way its name says."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ir_lightning.errors import UsageError
from ir_lightning.networks.first_weights import initialise, random_of
from ir_lightning.networks.generators.encoder_decoder import EncoderDecoder, UNet
from ir_lightning.networks.upsamplers import (
    Bilinear,
    Deconv,
    ICNRConvolution,
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


def phases(image: Tensor, scale: int = 2) -> Tensor:
    """(scale^2, B, C, H, W): every ``scale``-th pixel of (B, C, scale H, scale W), by start."""
    rows, columns = range(scale), range(scale)
    return torch.stack([image[..., r::scale, c::scale] for r in rows for c in columns])


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("in_a_generator", [True, False])
def test_icnr_begins_without_a_checkerboard(scale: int, in_a_generator: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(ICNRConvolution(5, 3, scale), SubPixelShuffle(scale))
    if in_a_generator:
        initialise(layer, "generator")
    first, *others = phases(layer(torch.randn(2, 5, 6, 7)), scale)
    assert first.std() > 0.01
    for other in others:
        torch.testing.assert_close(other, first, atol=1e-6, rtol=0)
    one, another, *_ = layer[0].weight[:3]  # the colours are not equal
    assert not one.equal(another)


@pytest.mark.parametrize("kind", [UNet, EncoderDecoder])
@pytest.mark.parametrize("levels", ["top", "all"])
def test_the_first_image_of_a_generator_has_no_checkerboard(
    kind: Callable[..., nn.Module], levels: str
) -> None:
    """With ICNR; normal sub-kernels, and transposed convolutions, begin with one."""
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32)

    def checkerboard(upsampler: Upsampler) -> float:
        return phases(kind(3, 8, upsampler=upsampler)(image)).std(dim=0).mean().item()

    assert checkerboard(SubPixel(levels)) < 1e-7
    for other in (SubPixel(levels, "normal"), Deconv()):
        assert checkerboard(other) > 1e-4


def test_icnr_sub_kernels_are_normal_one_by_one() -> None:
    torch.manual_seed(0)
    weight = UNet(1, 64, upsampler=SubPixel()).decoder[0][1][0].weight
    kernels = weight.reshape(4, 3, 64, 3, 3)
    assert kernels[1:].equal(kernels[:1].expand(3, -1, -1, -1, -1))
    assert kernels[0].std().item() == pytest.approx(0.02, rel=0.05)
    assert kernels[0].mean().item() == pytest.approx(0, abs=0.002)


def test_normal_sub_kernels_are_as_every_other_convolution() -> None:
    torch.manual_seed(0)
    top = UNet(1, 64, upsampler=SubPixel(init="normal")).decoder[0][1]
    plain = nn.Conv2d(64, 12, 3, padding=1)
    random = random_of("generator.decoder.0.1.0.weight", torch.device("cpu"))
    nn.init.normal_(plain.weight, 0.0, 0.02, generator=random)
    assert top[0].weight.equal(plain.weight)
    assert top[0].bias.eq(0).all()


def test_weights_of_either_beginning_fit_the_other() -> None:
    one, other = (UNet(2, 4, upsampler=SubPixel(init=init)) for init in ("normal", "icnr"))
    other.load_state_dict(one.state_dict())
    image = torch.rand(1, 3, 8, 8)
    assert one(image).equal(other(image))


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


def test_an_unknown_beginning_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^init=zeros: choose icnr or normal"):
        SubPixel(init="zeros")
