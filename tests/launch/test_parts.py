"""Constructors judge: of every number in conf/, what cannot be is refused by its key."""

import random
from collections.abc import Iterator
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import get_object
from omegaconf import OmegaConf
from torch import Tensor, nn

from ir_lightning.build import build
from ir_lightning.data.combining import SceneSplit
from ir_lightning.data.synthetic.photographs import Photographs
from ir_lightning.errors import UsageError
from ir_lightning.launch import preflight
from ir_lightning.launch.preflight import Known, check
from ir_lightning.networks.meta import on_meta
from tests.conftest import CONF, SMALL, Compose

SYNTHETIC = [p for p in CONF.glob("dataset/*.yaml") if "/scenes@_here_" in p.read_text("utf-8")]
GROUPS = ("generator", "enhancer", "discriminator", "loss", "schedule", "system", "callbacks")
OPTIONS = [path for group in GROUPS for path in sorted(CONF.glob(f"{group}/*.yaml"))]
PARTS = {f"{p.parent.name}={p.stem}": [p.parent.name] for p in [*OPTIONS, *SYNTHETIC]}
PARTS["budget=smoke"] = ["optimization", "evaluation", "augment"]
SIGNED = {"angle", "exposure"}  # may be below 0


def parts(node: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of this package in a node, with its key."""
    if isinstance(node, dict):
        if str(node.get("_target_", "")).startswith("ir_lightning."):
            yield key, node
        for name, inside in node.items():
            yield from parts(inside, f"{key}.{name}")


def silly(part: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each number of a part, and each list of numbers, with what it cannot be."""
    parameters = signature(get_object(part["_target_"])).parameters
    for name, value in part.items():
        several = (
            isinstance(value, list) and value != [] and isinstance(value[0], int | float | list)
        )
        if isinstance(value, bool) or not (several or isinstance(value, int | float)):
            continue
        kind = str(parameters[name].annotation)
        values: list[Any] = ["x", [], {}]
        values += [] if "None" in kind else [None]
        values += [] if name in SIGNED else [-1, -1.5, [-1.0]]
        values += [] if "float" in kind or "Range" in kind else [1.5, [1.5]]
        yield from ((name, wrong) for wrong in values)


@pytest.mark.slow
@pytest.mark.parametrize("option", PARTS)
def test_a_number_that_cannot_be_is_refused_by_its_key(option: str, composed: Compose) -> None:
    config = composed("budget=smoke", option)
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    for group in PARTS[option]:
        for key, part in parts(plain[group], group):
            for name, value in silly(part):
                with pytest.raises(UsageError) as refused, on_meta():
                    build({**part, name: value}, key)
                assert str(refused.value).startswith(f"{key}.{name}="), value


@pytest.mark.slow
@pytest.mark.parametrize("value", ["x", "-1", "1.5"])
def test_a_number_of_the_data_that_cannot_be_is_refused_by_its_key(
    value: str, composed: Compose
) -> None:
    known: Known = {}
    for name in ("seed", "iterations", "batch", "validation_images", "test_images", "workers"):
        with pytest.raises(UsageError, match=rf"^data\.{name}={value}: give a whole number"):
            check(composed(*SMALL, f"data.{name}={value}"), known=known)


@pytest.mark.parametrize(("name", "value"), [("fraction", "x"), ("fraction", 1), ("seed", -1)])
def test_a_split_that_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"^{name}={value}: "):
        SceneSplit(Photographs(["chelsea", "coffee"]), "train", **{name: value})


class Plain(nn.Module):
    """A generator of one's own, without a depth and without a ``check_crop``."""

    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, kernel, padding=1)

    def forward(self, degraded: Tensor) -> Tensor:
        return self.layer(degraded)


class Counting(Plain):
    """Looks at its weights when it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.layer.weight.flatten()[0].item()


class Looking(Plain):
    """Looks at what it is given."""

    def forward(self, degraded: Tensor) -> Tensor:
        return super().forward(degraded) if degraded.mean().item() > 0 else degraded


class Strict(Plain):
    def __init__(self) -> None:
        raise TypeError("no such thing")


def own(kind: type, *arguments: str) -> list[str]:
    """Overrides that choose a generator of one's own."""
    words = [f"_target_: {__name__}.{kind.__name__}", *arguments]
    # The group is replaced: what the other generator takes is gone.
    return [*SMALL, "~generator", f"+generator={{{', '.join(words)}}}"]


def test_a_network_for_other_images_is_refused_by_its_keys(composed: Compose) -> None:
    with pytest.raises(UsageError, match=r"^generator.*channels=5.*such crops.*channel"):
        check(composed(*SMALL, "generator.channels=5"))


def test_a_generator_of_ones_own_needs_no_depth(composed: Compose) -> None:
    ready = check(composed(*own(Plain)))
    assert ready.config.budget.crop == 32
    assert ready.notices == []


@pytest.mark.parametrize("kind", [Counting, Looking])
def test_a_generator_that_needs_data_is_left_to_the_training(kind: type, composed: Compose) -> None:
    (notice,) = check(composed(*own(kind))).notices
    assert notice.startswith("The generator is not checked before the training: ")


def test_a_generator_that_does_not_take_the_crops_is_refused(composed: Compose) -> None:
    with pytest.raises(UsageError, match=r"^generator \(kernel=40\): .*such crops: .*size"):
        check(composed(*own(Plain, "kernel: 40")))
    with pytest.raises(UsageError, match=r"^generator \(kernal=3\): .*kernal"):
        check(composed(*own(Plain, "kernal: 3")))
    with pytest.raises(UsageError, match=r"^generator: no such thing"):
        check(composed(*own(Strict)))


def test_the_check_draws_no_random_numbers(composed: Compose) -> None:
    config = composed(*SMALL, "depth=3", "enhancer=scan")
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    check(config)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]


def test_a_sweep_looks_at_the_files_of_a_data_set_once(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def counted(node: Any, key: str) -> Any:
        built.append(key)
        return build(node, key)

    monkeypatch.setattr(preflight, "build", counted)
    known: Known = {}
    for depth in (1, 2, 3):
        check(composed(*SMALL, f"depth={depth}"), known=known)
    assert built.count("data.train") == 1
    check(composed(*SMALL, "dataset=noise"), known=known)  # of the same images
    check(composed(*SMALL, "dataset.train.built_in.sources.leaves.count=9"), known=known)
    assert built.count("data.train") == 2
