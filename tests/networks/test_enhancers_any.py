"""What every option under conf/enhancer promises, one's own included; globbing finds them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ir_lightning.build import build
from ir_lightning.errors import UsageError
from ir_lightning.networks.generators.encoder_decoder import (
    EncoderDecoder,
    EncoderDecoderBase,
    UNet,
)
from ir_lightning.training.weights import load_generator, save_network
from tests.helpers.enhancers import configured

pytestmark = pytest.mark.slow

CONF = Path(__file__).parents[2] / "conf" / "enhancer"
OPTIONS = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "none")
SMALL = {"width": 8, "layers": 2, "growth": 2, "blocks": 2}


@pytest.mark.parametrize("option", OPTIONS)
def test_it_stands_before_every_encoder_layer(option: str) -> None:
    for position, channels in enumerate([3, 4, 8, 16], start=1):
        enhancer = build(configured(option, **SMALL, positions=position), "enhancer")
        for generator in (UNet(4, 4, enhancer=enhancer), EncoderDecoder(4, 4, enhancer=enhancer)):
            for size in ((1, 1), (5, 9), (16, 16)):
                restored = generator(torch.rand(1, 3, *size))
                assert restored.shape == (1, 3, *size)
                assert restored.isfinite().all()
        block = enhancer.build(channels)
        for shape in ((1, channels, 1, 1), (2, channels, 6, 5)):
            assert block(torch.randn(shape)).shape == (shape[0], block.out_channels, *shape[2:])


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("option", OPTIONS)
def test_the_norm_can_be_chosen(option: str, norm: str) -> None:
    node = configured(option, **SMALL, norm=norm)
    if "norm" not in node:
        pytest.skip("its paper has none")
    block = build(node, "enhancer").build(3)
    kinds = {type(layer).__name__ for layer in block.modules()}
    there = {"instance": {"InstanceNorm"}, "batch": {"BatchNorm"}, "none": set()}
    assert {"InstanceNorm", "BatchNorm"} & kinds == there[norm]


@pytest.mark.parametrize("option", OPTIONS)
def test_the_gradient_reaches_every_parameter(option: str) -> None:
    torch.manual_seed(0)
    # Behind an instance norm a bias changes nothing.
    block = build(configured(option, **SMALL, norm="none"), "enhancer").build(3)
    for name, parameter in block.named_parameters():
        if name.endswith("bias"):  # SCAN's gate squeezes to few features; none of them is dead
            nn.init.constant_(parameter, 0.2)
        else:
            nn.init.normal_(parameter, 0, 0.1)
    y = block(torch.randn(1, 3, 40, 40))
    (y * torch.randn_like(y)).sum().backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("option", OPTIONS)
def test_one_seed_is_one_result_in_training_and_evaluation(option: str) -> None:
    def restored(training: bool) -> Tensor:
        torch.manual_seed(3)
        enhancer = build(configured(option, **SMALL), "enhancer")
        return UNet(2, width=4, enhancer=enhancer).train(training)(torch.rand(1, 3, 12, 12))

    assert restored(True).equal(restored(True))
    assert restored(True).equal(restored(False))


def second_features(generator: EncoderDecoderBase) -> float:
    """How different the places of the second encoder layer's features are."""
    with torch.no_grad():
        _, second, _ = generator.encode(torch.rand(1, 3, 48, 48) * 2 - 1)
    return second.std((2, 3)).mean().item()


@pytest.mark.parametrize("option", OPTIONS)
def test_the_first_weights_let_the_image_through(option: str) -> None:
    """What is far below a norm's epsilon of 1e-5 leaves the encoder blind for a long time."""
    torch.manual_seed(0)
    enhancer = build(configured(option), "enhancer")
    assert second_features(UNet(3, width=16, enhancer=enhancer)) > 0.01


@pytest.mark.parametrize("keep", [True, False], ids=["input kept", "not kept"])
@pytest.mark.parametrize("option", OPTIONS)
def test_weights_go_to_disk_and_back(option: str, keep: bool, tmp_path: Path) -> None:
    target = "ir_lightning.networks.UNet"
    enhancer = configured(option, **SMALL, positions=[1, 2], keep_input=keep)
    config = {"_target_": target, "depth": 2, "width": 4, "enhancer": enhancer}
    generator = build(config, "generator")
    save_network(tmp_path, "generator", generator, config)
    image = torch.rand(1, 3, 13, 10)
    expected = generator.eval()(image)
    assert load_generator(tmp_path, "cpu")(image).equal(expected)


@pytest.mark.parametrize(("key", "value"), [("positions", [0]), ("norm", "layer")])
@pytest.mark.parametrize("option", OPTIONS)
def test_a_wrong_value_is_refused_by_its_key(option: str, key: str, value: Any) -> None:
    node = configured(option, **{key: value})
    if key in node:
        with pytest.raises(UsageError, match=rf"enhancer\.{key}"):
            build(node, "enhancer")


@pytest.mark.parametrize("option", OPTIONS)
def test_its_yaml_says_first_what_it_is(option: str) -> None:
    assert (CONF / f"{option}.yaml").read_text(encoding="utf-8").startswith("# ")
