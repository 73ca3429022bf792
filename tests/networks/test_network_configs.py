"""Every yaml of the network and loss groups builds what it names, and none has a dead key."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from torch import nn

from ir_lightning.build import build
from ir_lightning.losses.adversarial import Adversarial
from ir_lightning.losses.pixel import L1, MSE
from ir_lightning.networks.enhancers.base import Enhancer
from ir_lightning.networks.upsamplers import Upsampler

pytestmark = pytest.mark.slow

CONF = Path(__file__).parents[2] / "conf"

Compose = Callable[..., DictConfig]

KINDS: dict[str, Any] = {
    "generator": nn.Module,
    "enhancer": Enhancer | None,
    "upsampler": Upsampler,
    "discriminator": nn.Module | None,
    "loss": dict,
}
OPTIONS = [(g, path.stem) for g in KINDS for path in sorted((CONF / g).glob("*.yaml"))]


def settle(composed: Compose, *overrides: str) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(composed("dataset=rain800", *overrides), resolve=True)
    return {group: plain[group] for group in KINDS}


@pytest.fixture
def settled(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``settled("loss=l1")``: the network groups of a run as plain values."""
    monkeypatch.setenv("IR_LIGHTNING_DATA", "data")
    return lambda *overrides: settle(composed, *overrides)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_builds_and_every_key_is_read(settled: Any, group: str, option: str) -> None:
    node = settled(f"{group}={option}", "depth=4", "width=4")[group]
    assert isinstance(build(node, group), KINDS[group])
    for part in node.values() if group == "loss" else [node] * (node is not None):
        target = get_class(part["_target_"])
        assert set(part) - {"_target_"} == set(inspect.signature(target).parameters)


@pytest.mark.parametrize("option", [o for g, o in OPTIONS if g == "generator"])
def test_every_generator_restores_images_of_any_size(settled: Any, option: str) -> None:
    node = settled(f"generator={option}", "depth=4", "width=4")["generator"]
    degraded = torch.rand(2, 3, 70, 93)
    restored = build(node, "generator")(degraded)
    assert restored.shape == degraded.shape
    assert 0 <= restored.min() <= restored.max() <= 1


@pytest.mark.parametrize("option", [o for g, o in OPTIONS if g == "discriminator" and o != "none"])
def test_every_discriminator_judges_an_image_beside_the_degraded_one(
    settled: Any, option: str
) -> None:
    node = settled(f"discriminator={option}", "width=4")["discriminator"]
    torch.manual_seed(0)
    discriminator = build(node, "discriminator")
    degraded = torch.rand(2, 3, 70, 93, requires_grad=True)
    image = torch.rand(2, 3, 70, 93, requires_grad=True)
    logits = discriminator(degraded, image)
    assert logits.shape[:2] == (2, 1)
    assert logits.min() < 0 < logits.max(), "logits, not probabilities"
    logits.square().sum().backward()
    for judged in (degraded, image):  # a conditional discriminator looks at both
        assert judged.grad is not None
        assert judged.grad.abs().sum() > 0


def test_depth_width_enhancer_and_upsampler_reach_the_networks(settled: Any) -> None:
    nodes = settled(
        "depth=3", "width=4", "enhancer=infoaccum", "enhancer.positions=[1,2]", "upsampler=bilinear"
    )
    generator = build(nodes["generator"], "generator")
    assert generator.depth == 3
    assert [block.training for block in generator.enhancers[:2]]
    assert generator.enhancers[0].out_channels == 363
    assert generator.enhancers[1].out_channels == 4 + 360
    assert "bilinear" in str(generator)
    assert build(nodes["discriminator"], "discriminator").layers[0].out_channels == 4


def test_the_encoder_decoder_interpolates_unless_told_otherwise(settled: Any) -> None:
    def upsampler(*overrides: str) -> str:
        return settled(*overrides)["generator"]["upsampler"]["_target_"].rsplit(".")[-1]

    assert upsampler("generator=unet") == "Deconv"
    assert upsampler("generator=encoder_decoder") == "Nearest"
    assert upsampler("generator=encoder_decoder", "upsampler=subpixel") == "SubPixel"
    assert upsampler("upsampler=deconv", "generator=encoder_decoder") == "Deconv"


@pytest.mark.parametrize("option", ["l1", "mse"])
def test_a_pixel_loss_alone_trains_without_a_discriminator(composed: Compose, option: str) -> None:
    config = composed("dataset=rain800", f"loss={option}")
    assert config.discriminator is None
    assert list(config.loss) == [option]
    assert config.system._target_.endswith("RegressionSystem")


def test_the_losses_are_those_of_the_paper(settled: Any) -> None:
    for option in ("gan", "lsgan"):
        terms = build(settled(f"loss={option}")["loss"], "loss")
        assert isinstance(terms["adversarial"], Adversarial)
        assert isinstance(terms["l1"], L1)
        assert (terms["adversarial"].weight, terms["l1"].weight) == (1, 100)
    assert isinstance(build(settled("loss=mse")["loss"], "loss")["mse"], MSE)
