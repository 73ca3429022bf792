"""What cannot work is refused here, in words, before torch is imported or a GPU is taken."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ir_lightning.build import build
from ir_lightning.data.cache.store import from_store
from ir_lightning.data.samples import Source
from ir_lightning.errors import UsageError
from ir_lightning.launch.numbers import Limits, check_numbers
from ir_lightning.launch.pretraining import FirstRun, first_run, resolve_sources
from ir_lightning.metrics.protocols import protocol_named
from ir_lightning.networks.shapes import LEVELS, NORMS, smallest_crop, smallest_image

SPLITS = ("train", "validation", "test")


class Ready(NamedTuple):
    """A configuration that can work."""

    config: DictConfig
    """With the budget's iterations counted out."""
    notices: list[str]
    """What the user should know."""
    images: dict[str, list[str]]
    """The names of every split's images."""
    first: FirstRun | None = None
    """What has to be trained before."""


def check(config: DictConfig, asked: Sequence[str] = ()) -> Ready:
    """Complete a composed configuration and refuse what cannot work.

    Args:
        config: as composed by Hydra from conf/train.yaml.
        asked: the command line's overrides; a run that is to be trained first has them, too.

    Raises:
        UsageError: one sentence naming the key or file and what to do.
    """
    config = config.copy()
    check_numbers(config)
    notices = _settle_discriminator(config)
    plain = resolve(config)
    _check_networks(plain)
    _check_loss(plain)
    _check_trainer(plain)
    sources = {split: build(plain["dataset"][split], f"dataset.{split}") for split in SPLITS}
    _check_sources(sources)
    for split, source in sources.items():
        from_store(source, plain["dataset"]["store"], plain["paths"]["stores"], split)
    _check_choices(plain)
    images, notice = _check_crops(sources["train"], plain)
    _settle_budget(config, plain, images)
    first = first_run(config, asked)
    build(plain["evaluation"], "evaluation")  # last, since it needs torch
    resolve_sources(
        config, check(*first).config if first else None, first.overrides if first else ()
    )
    return Ready(config, notices + notice, _names(sources), first)


def _names(sources: Mapping[str, Source]) -> dict[str, list[str]]:
    """The names of every split's images, in order."""
    return {split: [s.name(i) for i in range(len(s))] for split, s in sources.items()}


def resolve(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values, every reference followed.

    Raises:
        UsageError: a value that must be given is missing, or a reference leads nowhere.
    """
    if config.paths.data is None and "${paths.data}" in OmegaConf.to_yaml(config.dataset):
        raise UsageError(
            f"dataset={config.dataset.name} lies in the folder of the benchmarks, which is not "
            "known: give paths.data=FOLDER, or set the environment variable IR_LIGHTNING_DATA."
        )
    if config.clean_dir is not None and "${clean_dir}" not in OmegaConf.to_yaml(config.dataset):
        raise UsageError(
            f"clean_dir={config.clean_dir}: dataset={config.dataset.name} has images of its own; "
            "choose a synthetic one, such as dataset=rain, to degrade yours."
        )
    missing = list(_missing(OmegaConf.to_container(config)))
    if missing:
        raise UsageError(f"{missing[0]} has no value: give {missing[0]}=...")
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        sets = config.dataset.get("test_sets", {})
        if sets and config.dataset.get("test_set") not in sets:
            raise UsageError(
                f"dataset.test_set={config.dataset.test_set} is no choice: take "
                f"{' or '.join(sets)}."
            ) from None
        raise UsageError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    return cast(dict[str, Any], plain)


def _missing(node: Any, key: str = "") -> Iterator[str]:
    """The keys that a user must give and has not: those whose value is ``???``."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _missing(value, f"{key}.{name}" if key else name)
    elif node == "???":
        yield key


def _settle_discriminator(config: DictConfig) -> list[str]:
    """`discriminator=none` is the ablation without a discriminator: its loss term goes with it."""
    if config.discriminator is None and config.loss.get("adversarial") is not None:
        config.loss.adversarial = None
        rest = [name for name, term in config.loss.items() if term is not None]
        if not rest:
            raise UsageError("discriminator=none leaves no loss: choose loss=l1 or loss=mse.")
        return [f"No discriminator, so no adversarial term: training on {', '.join(rest)} alone."]
    if config.discriminator is not None and config.loss.get("adversarial") is None:
        raise UsageError(
            "The loss has no adversarial term, so a discriminator has nothing to learn from: "
            "choose loss=gan or loss=lsgan, or discriminator=none."
        )
    return []


def _check_networks(plain: dict[str, Any]) -> None:
    depth, crop = plain["depth"], plain["budget"]["crop"]
    if crop < smallest_crop(depth):
        raise UsageError(
            f"depth={depth} halves the image {depth} times, which a crop of {crop} pixels cannot "
            f"carry: set budget.crop={smallest_crop(depth)} or more, or a smaller depth."
        )
    discriminator = plain["discriminator"] or {}
    if "layers" in discriminator and crop < smallest_image(discriminator["layers"]):
        raise UsageError(
            f"discriminator.layers={discriminator['layers']} needs crops of at least "
            f"{smallest_image(discriminator['layers'])} pixels; budget.crop is {crop}."
        )
    scales = discriminator.get("scales", [1])
    numbers = isinstance(scales, list) and all(type(n) is int and n >= 1 for n in scales)
    if "layers" in discriminator and not (numbers and 0 < len(scales) == len(set(scales))):
        raise UsageError(
            f"discriminator.scales={scales}: give a list of different whole numbers from 1, such "
            "as [1,2,3,6]."
        )
    enhancer = plain["enhancer"] or {}
    positions = enhancer.get("positions", [])
    asked = [positions] if isinstance(positions, int) else positions
    if "positions" in enhancer and (len(set(asked)) < len(asked) or min(asked, default=0) < 1):
        raise UsageError(
            f"enhancer.positions={positions}: give different whole numbers from 1 (before the "
            "generator) to the depth."
        )
    beyond = [p for p in asked if p > depth]
    if beyond:
        raise UsageError(
            f"enhancer.positions={positions}: there is no encoder layer {beyond[0]} at "
            f"depth={depth}; use positions up to {depth} or a larger depth."
        )


def _check_loss(plain: dict[str, Any]) -> None:
    adversarial = plain["loss"].get("adversarial") or {}
    share = Limits(0, 1, whole=False)
    if {"first", "then", "at"} <= set(adversarial) and not share.admit(adversarial["at"]):
        raise UsageError(
            f"loss.adversarial.at={adversarial['at']}: give {share}, the share of the iterations "
            "after which the second loss takes over."
        )


def _check_trainer(plain: dict[str, Any]) -> None:
    trainer = plain["trainer"]
    devices, several = trainer["devices"], "strategy" in trainer
    if devices != 1 and not several:
        raise UsageError(f"trainer.devices={devices}: for several devices choose trainer=ddp.")
    if several and trainer["accelerator"] == "cpu":
        if not isinstance(devices, int) or devices < 1:
            raise UsageError(f"trainer.devices={devices}: give the number of CPU processes.")
        if devices > 1 and plain["norm"] == "batch":
            raise UsageError(
                "norm=batch needs the statistics of all processes, which torch computes on GPUs "
                "only: choose norm=instance for trainer=ddp on a CPU."
            )


def _check_sources(sources: dict[str, Source]) -> None:
    for split, source in sources.items():
        if len(source) == 0:
            raise UsageError(f"dataset.{split} has no images.")
        if hasattr(source, "check"):
            source.check()


def _check_crops(train: Source, plain: dict[str, Any]) -> tuple[int, list[str]]:
    """How many images are trained on, and what is done about those smaller than the crop."""
    crop = plain["budget"]["crop"]
    sizes = [train.size(index) for index in range(len(train))]
    small = [index for index, size in enumerate(sizes) if min(size) < crop]
    if not small:
        return len(train), []
    height, width = sizes[small[0]]
    if plain["dataset"]["small_images"] == "refuse":
        raise UsageError(
            f"budget.crop={crop} is larger than {len(small)} of {len(train)} training images "
            f"({train.name(small[0])} is {width} x {height}): lower it, or set "
            "dataset.small_images=pad to pad them by reflection, or =skip to leave them out."
        )
    told = f"{len(small)} of {len(train)} training images are smaller than the crop"
    if plain["dataset"]["small_images"] == "pad":
        return len(train), [f"{told}: padded."]
    if len(small) == len(train):
        raise UsageError(f"budget.crop={crop}: dataset.small_images=skip leaves no image to train.")
    return len(train) - len(small), [f"{told}: left out."]


def _check_choices(plain: dict[str, Any]) -> None:
    choices = {
        "dataset.small_images": (plain["dataset"]["small_images"], ("refuse", "pad", "skip")),
        "evaluation.weights": (plain["evaluation"]["weights"], ("best", "last")),
        "task.input": (plain["task"]["input"], ("degraded", "clean")),
        "generator.norm": (plain["generator"].get("norm", "none"), NORMS),
        "upsampler.levels": (plain["upsampler"].get("levels", "all"), LEVELS),
    }
    for key, (value, options) in choices.items():
        if value not in options:
            raise UsageError(f"{key}={value} is no choice: take {' or '.join(options)}.")
    protocols = plain["evaluation"]["protocols"]
    if not isinstance(protocols, list) or not protocols:
        raise UsageError(f"evaluation.protocols={protocols}: give a list, such as [rgb8].")
    for name in plain["evaluation"]["protocols"]:
        protocol_named(name)


def _settle_budget(config: DictConfig, plain: dict[str, Any], images: int) -> None:
    budget = plain["budget"]
    if (budget["iterations"] is None) == (budget["epochs"] is None):
        raise UsageError("Set budget.iterations or budget.epochs, and the other one to null.")
    if budget["iterations"] is None:
        config.budget.iterations = math.ceil(budget["epochs"] * images / budget["batch"])
        config.budget.epochs = None
    if config.budget.iterations < 1:
        raise UsageError(f"budget.iterations={config.budget.iterations} must be at least 1.")
