"""The modules that Fig. 14 compares InfoAccum with are those of the papers that they come from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.build import build
from ir_lightning.errors import UsageError
from ir_lightning.networks.enhancers.fig14 import (
    Attention,
    AttentionBlock,
    ContextDilated,
    ContextLayer,
    ContextUnit,
    Recursive,
    Residual,
    Scan,
)
from ir_lightning.networks.enhancers.infoaccum import InfoAccum
from ir_lightning.networks.generators.encoder_decoder import UNet
from ir_lightning.networks.meta import count
from tests.helpers.enhancers import configured

CONF = Path(__file__).parents[2] / "conf" / "enhancer"
KINDS: dict[str, type[Any]] = {
    "residual": Residual,
    "context_dilated": ContextDilated,
    "scan": Scan,
    "recursive": Recursive,
    "attention": Attention,
}
MATCHED = sorted(path.stem for path in CONF.glob("*_matched.yaml"))

Compose = Callable[..., DictConfig]


def every_weight(block: Any, scale: float = 0.3) -> Any:
    """Weights and biases that all matter."""
    torch.manual_seed(0)
    for parameter in block.parameters():
        nn.init.normal_(parameter, 0, scale)
    return block


def seen(block: nn.Module, channels: int) -> int:
    """Edge of the square of the input that one pixel of the output depends on."""
    x = torch.rand(1, channels, 101, 101, requires_grad=True)
    (gradient,) = torch.autograd.grad(block(x)[0, :, 50, 50].sum(), x)
    touched = gradient[0].abs().sum(0).nonzero()
    height, width = (touched.max(0).values - touched.min(0).values + 1).tolist()
    assert height == width
    return int(height)


def bare(convolution: Any, x: Tensor) -> Tensor:
    """A 3x3 or 1x1 convolution with another's weights, padded to keep the size."""
    dilation = convolution.dilation
    dilation = dilation[0] if isinstance(dilation, tuple) else dilation
    reach = dilation * (convolution.weight.shape[-1] // 2)
    return F.conv2d(x, convolution.weight, convolution.bias, padding=reach, dilation=dilation)


def test_residual_is_the_equation_of_the_deep_detail_network() -> None:
    block = every_weight(Residual(blocks=3, width=5, norm="none").build(3))
    first, *later = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    image = torch.randn(2, 3, 9, 8)
    x = F.relu(bare(first, image))
    for even, odd in zip(later[::2], later[1::2], strict=True):
        x = F.relu(bare(odd, F.relu(bare(even, x)))) + x
    torch.testing.assert_close(block(image), x)


def test_residual_has_the_25_convolutions_before_the_last_of_26() -> None:
    block = Residual().build(3)
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in block.modules() if isinstance(layer, nn.InstanceNorm2d)]
    assert len(convolutions) == len(norms) == 1 + 2 * 12
    assert {layer.out_channels for layer in convolutions} == {16}
    assert seen(every_weight(Residual(norm="none").build(3), 0.1), 3) == 1 + 2 * 25


@pytest.mark.parametrize(("dilation", "edge"), [(1, 5), (2, 9), (3, 13)])
def test_a_path_of_the_contextualized_block_sees_what_the_paper_says(
    dilation: int, edge: int
) -> None:
    unit = ContextDilated(blocks=1, width=4).build(4).layers[1]
    assert isinstance(unit, ContextUnit)
    path = unit.paths[dilation - 1]
    assert [c.dilation for c in path if isinstance(c, nn.Conv2d)] == [(dilation, dilation)] * 2
    for parameter in path.parameters():
        nn.init.constant_(parameter, 0.1)
    assert seen(path, 4) == edge


def test_the_contextualized_block_adds_three_paths_to_its_input() -> None:
    block = every_weight(ContextDilated(blocks=2, width=5).build(3))
    image = torch.randn(2, 3, 15, 14)
    first, *units = block.layers
    x = bare(first, image)
    for unit in units:
        pairs = [[c for c in path if isinstance(c, nn.Conv2d)] for path in unit.paths]
        x = x + sum(F.relu(bare(b, F.relu(bare(a, x)))) for a, b in pairs)
    torch.testing.assert_close(block(image), x)
    assert len(pairs) == 3
    assert units[0].paths[0][0].weight is not units[1].paths[0][0].weight


def test_scan_weights_channels_and_not_places() -> None:
    layer = ContextLayer(3, 6, squeezed=2, dilation=2)
    every_weight(layer)
    x = torch.randn(2, 3, 11, 10)
    convolved = bare(layer.convolution, x)
    alpha = layer.gate(convolved.mean((2, 3)))
    assert alpha.shape == (2, 6)
    assert ((alpha > 0) & (alpha < 1)).all()
    assert not alpha[0].allclose(alpha[1])
    expected = F.leaky_relu(convolved * alpha.reshape(2, 6, 1, 1), 0.2)
    torch.testing.assert_close(layer(x), expected)


def test_scan_has_the_layers_of_rescan_and_sees_35_pixels() -> None:
    block = Scan().build(3)
    layers = [layer for layer in block.layers if isinstance(layer, ContextLayer)]
    assert [layer.convolution.dilation[0] for layer in layers] == [1, 1, 2, 4, 8, 1]
    assert {tuple(layer.gate[0].weight.shape) for layer in layers} == {(6, 24)}
    for parameter in every_weight(block).named_parameters():
        if "gate" in parameter[0]:  # the gate looks at the whole image; without it, 35 are left
            nn.init.zeros_(parameter[1])
    assert seen(block, 3) == 35


def test_scan_keeps_pytorchs_first_weights_in_a_generator() -> None:
    torch.manual_seed(0)
    generator = UNet(1, width=4, enhancer=Scan())
    drawn = generator.enhancers[0].layers[1].convolution.weight
    assert drawn.std().item() == pytest.approx((1 / (3 * 9 * 24)) ** 0.5, rel=0.05)
    assert generator.encoder[0][0].weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_recursive_applies_one_block_again_and_again() -> None:
    block = every_weight(Recursive(recursions=3, width=5).build(3))
    image = torch.randn(2, 3, 9, 8)
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    assert [c.kernel_size for c in convolutions] == [(3, 3), (3, 3), (1, 1), (3, 3)]
    first = x = F.leaky_relu(bare(convolutions[0], image), 0.2)
    for _ in range(3):
        for convolution in convolutions[1:]:
            x = F.leaky_relu(bare(convolution, x), 0.2)
        x = x + first
    torch.testing.assert_close(block(image), x)


def test_recursions_cost_time_and_no_parameters() -> None:
    once, five = (count(Recursive(recursions).build(3), (8, 8)) for recursions in (1, 5))
    assert once.parameters == five.parameters
    shared = 19 * 16 * 16 * 64
    assert five.multiply_adds - once.multiply_adds == 4 * shared
    assert seen(every_weight(Recursive().build(3)), 3) == 3 + 5 * 4


def test_batch_statistics_of_the_recursions_stay_apart() -> None:
    block = Recursive(recursions=2, width=4, norm="batch").build(3)
    block(torch.randn(2, 3, 8, 8))
    means = [layer.running_mean for layer in block.norms if isinstance(layer, nn.BatchNorm2d)]
    assert len(means) == 3 * 2
    assert not means[0].allclose(means[3])


def test_the_attention_maps_are_those_of_the_equations() -> None:
    block = every_weight(Attention(steps=3, blocks=2, width=5).build(4))
    assert isinstance(block, AttentionBlock)
    features = torch.randn(2, 4, 9, 8)
    entry, *later = [layer for layer in block.extract.modules() if isinstance(layer, nn.Conv2d)]
    seen_map = torch.full((2, 1, 9, 8), 0.5)
    hidden = cell = torch.zeros(2, 5, 9, 8)
    expected = []
    for _ in range(3):
        x = F.relu(bare(entry, torch.cat([features, seen_map], 1)))
        for inner, outer in zip(later[::2], later[1::2], strict=True):
            x = F.relu(x + F.relu(bare(outer, F.relu(bare(inner, x)))))
        i, f, o, g = bare(block.gates, torch.cat([x, hidden], 1)).split(5, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        seen_map = bare(block.attend, hidden).sigmoid()
        expected.append(seen_map)
    for attention, other in zip(block.attention(features), expected, strict=True):
        torch.testing.assert_close(attention, other)


def test_attention_is_a_map_from_0_to_1_behind_the_untouched_input() -> None:
    block = every_weight(Attention(width=6).build(3), 1.0)
    assert isinstance(block, AttentionBlock)
    features = torch.randn(2, 3, 12, 11)
    kept = features.clone()
    maps, y = block.attention(features), block(features)
    assert len(maps) == 4
    for attention in maps:
        assert attention.shape == (2, 1, 12, 11)
        assert ((attention >= 0) & (attention <= 1)).all()
        assert attention.std() > 0.01
    assert y[:, :3].equal(kept)
    assert features.equal(kept)
    assert y[:, 3:].equal(maps[-1])


def test_the_steps_of_attention_share_their_weights() -> None:
    one, four = (count(Attention(steps).build(3), (8, 8)) for steps in (1, 4))
    assert one.parameters == four.parameters
    assert four.multiply_adds == 4 * one.multiply_adds


def parameters(name: str, w: int, c: int = 3) -> int:
    """The closed form at a paper's depth: biases included, no learned norm."""

    def conv(inputs: int, outputs: int, kernel: int = 3) -> int:
        return inputs * outputs * kernel**2 + outputs

    s = max(1, w // 4)
    return {
        "residual": conv(c, w) + 24 * conv(w, w),
        "context_dilated": conv(c, w) + 9 * 3 * 2 * conv(w, w),
        "scan": conv(c, w) + 5 * conv(w, w) + 6 * (conv(w, s, 1) + conv(s, w, 1)),
        "recursive": conv(c, w) + 2 * conv(w, w) + conv(w, w, 1),
        "attention": conv(c + 1, w) + 10 * conv(w, w) + 4 * conv(2 * w, w) + conv(w, 1),
    }[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("residual", 56_128),
        ("context_dilated", 1_995_904),
        ("scan", 28_620),
        ("recursive", 5_360),
        ("attention", 167_809),
    ],
)
def test_the_parameters_of_the_papers_own_size(name: str, expected: int) -> None:
    node = configured(name)
    enhancer = build(node, "enhancer")
    assert count(enhancer.build(3)).parameters == expected == parameters(name, node["width"])
    assert count(enhancer.build(64), channels=64).parameters == parameters(name, node["width"], 64)
    assert enhancer.__dict__ == KINDS[name]().__dict__  # the yaml says what the class says


@pytest.mark.parametrize("option", MATCHED)
def test_a_matched_module_has_the_width_nearest_to_infoaccum_15(option: str) -> None:
    goal = count(InfoAccum(layers=15).build(3)).parameters
    name = option.removesuffix("_matched")
    node = configured(option)
    here = count(build(node, "enhancer").build(3)).parameters
    assert here == pytest.approx(goal, rel=0.02)
    nearest = min(range(1, 400), key=lambda width: abs(parameters(name, width) - goal))
    assert node["width"] == nearest
    assert {**node, "width": 0} == {**configured(name), "width": 0}


def test_every_module_but_dense_which_needs_none_has_a_matched_variant() -> None:
    assert [option.removesuffix("_matched") for option in MATCHED] == sorted(KINDS)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        *((name, "width", value) for name in KINDS for value in (0, 1.5, True)),
        *((name, "blocks", 0) for name in ("residual", "context_dilated", "attention")),
        *(
            (name, "dilations", value)
            for name in ("context_dilated", "scan")
            for value in ([], [0])
        ),
        ("recursive", "recursions", 0),
        ("attention", "steps", 0),
        ("scan", "reduction", 0),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(name: str, key: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"^{key}="):
        KINDS[name](**{key: value})
