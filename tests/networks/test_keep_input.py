"""``keep_input``: a module's input stands, untouched, in front of its features, or it does not."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.build import build
from ir_lightning.errors import UsageError
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.enhancers.fig14 import (
    Attention,
    ContextDilated,
    Recursive,
    Residual,
    Scan,
)
from ir_lightning.networks.enhancers.infoaccum import Dense, InfoAccum
from ir_lightning.networks.generators.encoder_decoder import EncoderDecoder, UNet
from ir_lightning.networks.meta import count
from tests.conftest import CONF
from tests.helpers.enhancers import configured

OPTIONS = sorted(path.stem for path in (CONF / "enhancer").glob("*.yaml") if path.stem != "none")
SMALL = {"width": 8, "layers": 2, "growth": 2, "blocks": 2}


def recipes(option: str) -> list[Enhancer]:
    """The enhancer with its input and without."""
    nodes = [configured(option, **SMALL, keep_input=keep) for keep in (True, False)]
    if "keep_input" not in nodes[0]:
        pytest.skip("it leaves no choice")
    return [build(node, "enhancer") for node in nodes]


def both(option: str, channels: int) -> tuple[Block, Block]:
    """The blocks of one module with its input and without, with the same weights."""
    kept, bare = (of.block(channels) for of in recipes(option))
    bare.load_state_dict(kept.state_dict())
    return kept, bare


@pytest.mark.parametrize("shape", [(1, 3, 17, 12), (2, 5, 8, 8), (1, 4, 1, 1)])
@pytest.mark.parametrize("option", OPTIONS)
def test_the_input_is_the_first_channels_to_the_bit_and_the_rest_stays(
    option: str, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    kept, bare = both(option, shape[1])
    features = torch.randn(shape)
    before = features.clone()
    with_input, without = kept(features), bare(features)
    assert features.equal(before)
    assert with_input[:, : shape[1]].equal(before)
    assert with_input[:, shape[1] :].equal(without)
    assert with_input.shape == (shape[0], kept.out_channels, *shape[2:])
    assert without.shape == (shape[0], bare.out_channels, *shape[2:])


@pytest.mark.parametrize("option", OPTIONS)
def test_by_default_a_module_treats_its_input_in_its_own_way(option: str) -> None:
    enhancer = build(configured(option, **SMALL), "enhancer")
    built, block = enhancer.build(3), enhancer.block(3)
    block.load_state_dict(built.state_dict())
    image = torch.randn(1, 3, 9, 8)
    assert block(image).equal(built(image))


@pytest.mark.parametrize("option", OPTIONS)
def test_a_kept_input_costs_the_module_nothing_and_the_encoder_its_channels(option: str) -> None:
    kept, bare = both(option, 3)
    assert count(kept, (32, 16)) == count(bare, (32, 16))
    more, fewer = (count(UNet(2, 6, enhancer=of), (32, 16)) for of in recipes(option))
    weights = 4 * 4 * 3 * 6  # of the first layer's 4x4 kernels, for three channels
    assert more.parameters - fewer.parameters == weights
    assert more.multiply_adds - fewer.multiply_adds == 16 * 8 * weights


class Negate(Enhancer):
    """One's own, that writes ``build`` and nothing else."""

    class Negative(Block):
        def forward(self, features: Tensor) -> Tensor:
            return -features[:, :1]

    def build(self, channels: int) -> Block:
        return self.Negative(1)


@pytest.mark.parametrize("kind", [UNet, EncoderDecoder])
def test_the_encoder_layer_sees_the_input_in_front_of_anybodys_module(
    kind: type[UNet] | type[EncoderDecoder],
) -> None:
    torch.manual_seed(0)
    generator = kind(3, 4, enhancer=Negate(2, keep_input=True))
    image = torch.rand(1, 3, 16, 24) * 2 - 1
    first, second, _ = generator.encode(image)
    convolution = generator.encoder[1][0]
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.in_channels == 4 + 1
    generator.encoder[1][0] = nn.Conv2d(4, 8, convolution.kernel_size, convolution.stride, 1)
    with torch.no_grad():  # W (x, -x_1) = V x
        merged = convolution.weight[:, :4].clone()
        merged[:, :1] -= convolution.weight[:, 4:]
        generator.encoder[1][0].weight.copy_(merged)
        generator.encoder[1][0].bias.zero_()
        torch.testing.assert_close(generator.encoder[1](first), second)


def test_a_module_begins_with_the_same_weights_with_its_input_and_without() -> None:
    def drawn(enhancer: Enhancer) -> dict[str, Tensor]:
        torch.manual_seed(5)
        return dict(UNet(3, 4, enhancer=enhancer).named_parameters())

    for kind in (Residual, Scan, InfoAccum, Dense):
        kept, bare = (drawn(kind(keep_input=keep)) for keep in (True, False))
        assert kept.keys() == bare.keys()
        assert [n for n in kept if not kept[n].equal(bare[n])] == ["encoder.0.0.weight"]


def test_infoaccum_dense_and_attention_keep_their_input_and_the_others_replace_it() -> None:
    kinds = (InfoAccum, Dense, Attention, Residual, ContextDilated, Recursive, Scan)
    assert [kind().keep_input for kind in kinds] == [True] * 3 + [False] * 4


def test_the_accumulation_inside_infoaccum_still_has_the_input() -> None:
    """Without norm and with positive features it is linear: the input still makes layer 2."""
    block = InfoAccum(2, 1, (1,), norm="none", keep_input=False).block(1)
    weights = {name: torch.zeros_like(p) for name, p in block.named_parameters()}
    weights["spread.0.0.weight"][1, 0, 1, 1] = 3.0  # from the input into layer 2, and no other
    block.load_state_dict(weights)
    image = torch.rand(1, 1, 5, 5)
    first, second = block(image).split(1, dim=1)
    assert first.eq(0).all()
    torch.testing.assert_close(second, F.leaky_relu(3 * image, 0.2))


@pytest.mark.parametrize("value", [None, 1, "yes"])
@pytest.mark.parametrize("kind", [Residual, InfoAccum, Negate])
def test_neither_true_nor_false_is_refused(kind: type[Any], value: Any) -> None:
    with pytest.raises(UsageError, match=r"^keep_input=.*true or false"):
        kind(keep_input=value)


@pytest.mark.parametrize("kind", [InfoAccum, Dense])
def test_no_layers_without_the_input_would_be_nothing(kind: type[InfoAccum]) -> None:
    with pytest.raises(UsageError, match=r"^keep_input=false: .* layers=0"):
        kind(layers=0, keep_input=False)


@pytest.mark.parametrize("option", ["residual", "infoaccum"])
def test_the_command_line_refuses_it_by_its_key(option: str) -> None:
    with pytest.raises(UsageError, match=r"^enhancer\.keep_input=2"):
        build(configured(option, keep_input=2), "enhancer")
