"""InfoAccum and Dense compute eq. 14 and eq. 13 of the paper, however they go about it."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.infoaccum import kept_bytes
from ir_lightning.errors import UsageError
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.enhancers.infoaccum import Dense, InfoAccum


def plain(block: Block, x: Tensor, layers: int, dilations: Sequence[int], norm: bool) -> Tensor:
    """Eq. 14 to the letter, with the block's own weights."""
    weights = dict(block.named_parameters())
    growth = weights["spread.0.0.bias"].numel() // layers
    for layer in range(layers):
        mine = slice(layer * growth, (layer + 1) * growth)
        new = []
        for branch, dilation in enumerate(dilations):
            kernel = torch.cat(
                [
                    weights[f"spread.{made}.{branch}.weight"][
                        (layer - made) * growth : (layer - made + 1) * growth
                    ]
                    for made in range(layer + 1)
                ],
                dim=1,
            )
            bias = weights[f"spread.0.{branch}.bias"][mine]
            y = F.conv2d(x, kernel, bias, padding=dilation, dilation=dilation)
            if norm:
                centred = y - y.mean((2, 3), keepdim=True)
                y = centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
            new.append(torch.where(y > 0, y, 0.2 * y))
        x = torch.cat([x, *new], dim=1)
    return x


@pytest.mark.parametrize("norm", ["instance", "none"])
@pytest.mark.parametrize(
    "enhancer", [InfoAccum(5, 3), InfoAccum(4, 2, (2, 7)), InfoAccum(1, 1), Dense(5, 4)]
)
def test_the_wide_way_is_equation_14_gradients_included(enhancer: InfoAccum, norm: str) -> None:
    torch.manual_seed(0)
    kind = type(enhancer)
    recipe = kind(enhancer.layers, enhancer.growth, enhancer.dilations, norm=norm)
    block = recipe.build(3)
    for parameter in block.parameters():
        nn.init.normal_(parameter, 0, 0.2)
    x = torch.randn(2, 3, 17, 14, requires_grad=True)
    outputs = block(x), plain(block, x, recipe.layers, recipe.dilations, norm == "instance")
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=1e-5)
    pull = torch.randn_like(outputs[0])
    learned = [p for n, p in block.named_parameters() if norm == "none" or "bias" not in n]
    gradients, expected = (
        torch.autograd.grad((output * pull).sum(), [x, *learned]) for output in outputs
    )
    for gradient, other in zip(gradients, expected, strict=True):
        scale = other.abs().max().item()
        torch.testing.assert_close(gradient, other, atol=2e-5 * scale, rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 5, 1, 9), (2, 3, 8, 8)])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_the_input_survives_untouched_as_the_first_channels(
    shape: tuple[int, ...], norm: str
) -> None:
    torch.manual_seed(0)
    block = InfoAccum(3, 4, norm=norm).build(shape[1])
    x = torch.randn(shape)
    kept = x.clone()
    y = block(x)
    assert y.shape == (shape[0], shape[1] + 3 * 4 * 3, *shape[2:])
    assert block.out_channels == y.shape[1]
    assert y[:, : shape[1]].equal(kept)
    assert x.equal(kept)
    assert y.isfinite().all()


def test_no_layers_change_nothing() -> None:
    block = InfoAccum(layers=0).build(7)
    x = torch.randn(1, 7, 5, 5)
    assert block.out_channels == 7
    assert block(x).equal(x)


def test_infoaccum_15_is_the_one_of_the_tables() -> None:
    block = InfoAccum().build(3)
    assert block.out_channels == 3 + 3 * 8 * 15
    per_layer = [3 * 8 * (9 * (3 + 24 * layer) + 1) for layer in range(15)]
    assert count(block) == sum(per_layer)


def test_dense_has_infoaccums_parameters_and_channels_in_one_branch() -> None:
    dense, infoaccum = Dense().build(3), InfoAccum().build(3)
    assert count(dense) == count(infoaccum)
    assert dense.out_channels == infoaccum.out_channels
    assert all(m.dilation == (1, 1) for m in dense.modules() if isinstance(m, nn.Conv2d))


def count(block: nn.Module) -> int:
    return sum(parameter.numel() for parameter in block.parameters())


def test_memory_grows_linearly_with_the_layers() -> None:
    blocks = (InfoAccum(layers, 2).build(3) for layers in (5, 10, 20))
    few, some, many = (kept_bytes(block, torch.rand(1, 3, 32, 32)) for block in blocks)
    assert few > 0
    assert many - some == pytest.approx(2 * (some - few), rel=0.05)


def test_positions_are_one_number_or_several() -> None:
    assert InfoAccum(positions=3).positions == (3,)
    assert InfoAccum(positions=[1, 2, 8]).positions == (1, 2, 8)
    assert Dense().positions == InfoAccum().positions == (1,)


@pytest.mark.parametrize("positions", [0, [1, 1], [], [2, -1], ["1st"], [1.5]])
def test_positions_that_mean_nothing_are_refused(positions: list[int]) -> None:
    with pytest.raises(UsageError, match=r"^positions="):
        InfoAccum(positions=positions)


@pytest.mark.parametrize(
    ("key", "value"),
    [("layers", -1), ("growth", 0), ("dilations", []), ("dilations", [0]), ("norm", "layer")],
)
@pytest.mark.parametrize("kind", [InfoAccum, Dense])
def test_numbers_out_of_range_are_refused_by_their_key(
    kind: type[InfoAccum], key: str, value: Any
) -> None:
    with pytest.raises(UsageError, match=rf"^{key}="):
        kind(**{key: value})


class Widen(Enhancer):
    """The example of a new enhancer in the documentation of the base class."""

    def build(self, channels: int) -> Block:
        return Block(2 * channels, nn.Conv2d(channels, 2 * channels, 3, padding=1))


def test_an_enhancer_is_one_small_class() -> None:
    block = Widen(positions=2).build(5)
    assert block(torch.rand(1, 5, 4, 4)).shape == (1, block.out_channels, 4, 4)


def leave_nans() -> None:
    """Fill memory that is free afterwards, for whoever reads what nobody has written."""
    sizes = [10**power for power in range(1, 7)] * 6
    for dtype in (torch.float32, torch.bfloat16):
        held = [torch.full((size,), float("nan"), dtype=dtype) for size in sizes]
        del held


@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "bf16-mixed"])
def test_gradients_are_finite_whatever_was_in_memory(mixed: bool) -> None:
    """In bfloat16, oneDNN reads unwritten memory when channels lie together and maps dilate."""
    torch.manual_seed(0)
    block, image = InfoAccum(layers=3).build(3), torch.rand(1, 3, 128, 128)
    for _ in range(3):
        leave_nans()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            made = block(image)
        leave_nans()
        made.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())
