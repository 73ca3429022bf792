"""Every yaml of the network and loss groups builds what it names, and none has a dead key."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from ir_lightning.build import build
from ir_lightning.losses.adversarial import Adversarial
from ir_lightning.losses.pixel import L1, MSE
from ir_lightning.networks.discriminators.patchgan import PatchGAN
from ir_lightning.networks.enhancers.base import Enhancer
from ir_lightning.networks.generators.hourglass import Hourglass
from ir_lightning.networks.upsamplers.base import Upsampler

CONF = Path(__file__).parents[2] / "conf"

Compose = Callable[..., DictConfig]

KINDS: dict[str, Any] = {
    "generator": Hourglass,
    "enhancer": Enhancer | None,
    "upsampler": Upsampler,
    "discriminator": PatchGAN | None,
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
