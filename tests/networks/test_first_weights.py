"""Networks that differ in one part begin alike in all others, from one seed."""

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ir_lightning.networks.discriminators.patchgan import MultiScale, PatchGAN
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.enhancers.fig14 import Attention, Recursive, Residual, Scan
from ir_lightning.networks.enhancers.infoaccum import Dense, InfoAccum
from ir_lightning.networks.first_weights import initialise, random_of
from ir_lightning.networks.generators.encoder_decoder import EncoderDecoder, UNet
from ir_lightning.networks.meta import on_meta
from ir_lightning.networks.upsamplers import Bilinear, Nearest, SubPixel

VARIANTS: dict[str, dict[str, Any]] = {
    "none": {},
    "infoaccum": {"enhancer": InfoAccum(2, 2)},
    "infoaccum before the third": {"enhancer": InfoAccum(2, 2, positions=3)},
    "dense": {"enhancer": Dense(2, 4)},
    "residual": {"enhancer": Residual(1, 4)},
    "recursive": {"enhancer": Recursive(1, 4)},
    "attention": {"enhancer": Attention(1, 1, 4)},
    "scan": {"enhancer": Scan(4)},
    "subpixel": {"upsampler": SubPixel()},
    "nearest on top": {"upsampler": Nearest("top")},
    "bilinear on top": {"upsampler": Bilinear("top")},
    "batch norm": {"norm": "batch"},
    "dropout": {"dropout": 0.5},
}


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in network.named_parameters()}


def different(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> set[str]:
    """Names of weights that only one of the networks has in this shape."""
    return {n for n in {*a, *b} if n not in a or n not in b or a[n].shape != b[n].shape}


@pytest.mark.parametrize("kind", [UNet, EncoderDecoder])
def test_what_two_generators_share_begins_alike(kind: type[UNet] | type[EncoderDecoder]) -> None:
    torch.manual_seed(3)
    drawn = {name: weights(kind(6, 2, **parts)) for name, parts in VARIANTS.items()}
    for one, other in combinations(drawn, 2):
        for name in drawn[one].keys() - different(drawn[one], drawn[other]):
            assert drawn[one][name].equal(drawn[other][name]), (one, other, name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_two_u_nets_share_is_all_but_where_they_differ(variant: str) -> None:
    place = {
        "infoaccum before the third": ("enhancers.2.", "encoder.2.0.weight"),
        **dict.fromkeys(["subpixel", "nearest on top", "bilinear on top"], ("decoder.5.",)),
        "batch norm": tuple(f"{half}.{k}." for half in ("encoder", "decoder") for k in range(6)),
        **dict.fromkeys(["none", "dropout"], ()),
    }.get(variant, ("enhancers.0.", "encoder.0.0.weight"))
    plain, varied = weights(UNet(6, 2)), weights(UNet(6, 2, **VARIANTS[variant]))
    assert all(name.startswith(place) for name in different(plain, varied))


def test_discriminators_begin_alike_but_for_their_last_layers() -> None:
    patches, scales = weights(PatchGAN(5, 4)), weights(MultiScale(5, 4))
    shared = patches.keys() - different(patches, scales)
    assert len(shared) == 8
    assert all(patches[name].equal(scales[name]) for name in shared)


def test_it_does_not_matter_what_was_drawn_before() -> None:
    torch.manual_seed(0)
    first = weights(UNet(2, 4, enhancer=Scan(4)))
    torch.rand(7)
    again = weights(UNet(2, 4, enhancer=Scan(4)))
    assert all(first[name].equal(again[name]) for name in first)


def test_seeds_kinds_and_names_have_weights_of_their_own() -> None:
    def drawn(seed: int, kind: str, index: int) -> Tensor:
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3))
        initialise(network, kind)
        return list(weights(network).values())[2 * index]

    seen = [drawn(s, k, i) for s in (0, 1) for k in ("generator", "discriminator") for i in (0, 1)]
    assert not any(one.equal(other) for one, other in combinations(seen, 2))


def test_they_are_normal_and_independent() -> None:
    """As pix2pix's: mean, spread and, over all pairs of layers of one shape, correlation."""
    torch.manual_seed(0)
    drawn = [w.flatten() / 0.02 for n, w in weights(UNet(8, 8)).items() if n.endswith("weight")]
    everything = torch.cat(drawn)
    count = len(everything)
    assert abs(everything.mean()) < 4 / math.sqrt(count)
    assert abs(everything.square().mean() - 1) < 4 * math.sqrt(2 / count)
    assert abs(everything.pow(4).mean() - 3) < 4 * math.sqrt(96 / count)
    for a, b in combinations(drawn, 2):
        assert abs(a[: len(b)] @ b[: len(a)]) < 5 * math.sqrt(min(len(a), len(b)))


def test_a_layer_draws_by_a_law_of_its_own() -> None:
    class Uniform(nn.Conv2d):
        def first_weights(self, random: torch.Generator) -> None:
            nn.init.uniform_(self.weight, 3.0, 4.0, generator=random)

    class Own(Enhancer):
        def build(self, channels: int) -> Block:
            return Block(channels, Uniform(channels, channels, 1))

    ours = weights(UNet(2, 4, enhancer=Own()))
    assert ours["enhancers.0.layers.0.weight"].min() >= 3
    assert ours["enhancers.0.layers.0.bias"].ne(0).all()  # nobody asked for zeros
    random = random_of("generator.enhancers.0.layers.0", torch.device("cpu"))
    expected = torch.empty(3, 3, 1, 1).uniform_(3.0, 4.0, generator=random)
    assert ours["enhancers.0.layers.0.weight"].equal(expected)


def test_scan_begins_as_pytorch_does() -> None:
    """From U(-b, b) with b = 1 / sqrt(fan-in): its mean square is b^2 / 3."""
    block = weights(UNet(1, 2, enhancer=Scan(64, reduction=1)))
    for name in ("convolution.weight", "gate.0.weight", "gate.2.weight"):
        layer = block[f"enhancers.0.layers.1.{name}"]
        bound = layer[0].numel() ** -0.5
        assert bound * 0.99 < layer.abs().max() <= bound
        assert layer.square().mean().item() == pytest.approx(bound**2 / 3, rel=0.05)
        bias = block[f"enhancers.0.layers.1.{name.replace('weight', 'bias')}"]
        assert bound * 0.8 < bias.abs().max() <= bound


def test_nothing_is_drawn_without_a_place_for_it() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with on_meta():
        network = UNet(8, 512, enhancer=Scan(4), upsampler=SubPixel())
    assert all(p.is_meta for p in network.parameters())
    assert torch.get_rng_state().equal(state)
    torch.testing.assert_close(torch.initial_seed(), 0)
