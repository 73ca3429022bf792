"""What cannot work is refused here, in words, before lightning is imported or a GPU is taken."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, cast

from omegaconf import DictConfig, ListConfig, Node, OmegaConf
from omegaconf._utils import split_key
from omegaconf.errors import OmegaConfBaseException

from ir_lightning.arguments import check_number, check_whole
from ir_lightning.build import build, refusals
from ir_lightning.data.cache.store import from_store
from ir_lightning.data.samples import Checked, Source
from ir_lightning.errors import UsageError
from ir_lightning.launch.config import settle_speed
from ir_lightning.launch.pretraining import FirstRun, first_run, resolve_sources

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


class Images:
    """The images of a run, by the plain configuration of its data, and what their files say.

    Raises:
        UsageError: a source cannot be built, or has no images.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.sources: dict[str, Source] = {}
        for split in SPLITS:
            source = build(data[split], f"data.{split}")
            if len(source) == 0:
                raise UsageError(f"data.{split} has no images.")
            self.sources[split] = from_store(source, data["store"], data["stores"], split)

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """Of the images of every split, after a look at every file.

        Raises:
            UsageError: a file cannot be used.
        """
        for source in self.sources.values():
            if isinstance(source, Checked):
                source.check()
        return {split: [s.name(i) for i in range(len(s))] for split, s in self.sources.items()}

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """(height, width) of the training images."""
        train = self.sources["train"]
        return [train.size(index) for index in range(len(train))]


Known = dict[str, Images]
"""By their configuration, so that a sweep looks at the files of a data set once."""


def check(config: DictConfig, overrides: Sequence[str] = (), known: Known | None = None) -> Ready:
    """Complete a configuration composed from conf/train.yaml, and refuse what cannot work.

    A run that is to be trained first has the overrides, too. The images of configurations checked a
    moment ago are ``known``; those of this one are added.

    Raises:
        UsageError: one sentence naming the key or file and what to do.
    """
    config = config.copy()
    try:
        return _check(config, overrides, {} if known is None else known)
    except UsageError as error:
        # What is called ``system.generator.depth`` was set by ``depth``.
        keys = r"(?<![\w./-])[a-z]\w*(\.\w+(\[\d+\])*)+"
        error.args = (re.sub(keys, lambda key: _origin(key[0], config), str(error)),)
        raise


def _check(config: DictConfig, overrides: Sequence[str], known: Known) -> Ready:
    settle_speed(config)
    notices = _settle_discriminator(config)
    plain = resolve(config)
    _check_whole(plain)
    from ir_lightning.launch.parts import Parts  # torch takes seconds to import: only now

    parts = Parts()
    later = ("optimization", "evaluation")
    parts.build({name: node for name, node in plain["system"].items() if name not in later})
    build(plain["system"]["evaluation"], "system.evaluation")  # metrics try a score on real data
    _check_batch_norm(plain["trainer"], parts.with_batch_norm())
    data = plain["data"]
    augment = build(data["augment"], "data.augment")
    key = json.dumps([data[part] for part in (*SPLITS, "store", "stores")], sort_keys=True)
    images = known[key] = known.get(key) or Images(data)
    # The sources are read from their stores already, and iterations may have yet to be counted.
    rest = {name: node for name, node in data.items() if name not in (*SPLITS, "augment")}
    count = 1 if data["iterations"] is None else data["iterations"]
    make = build({**rest, "_partial_": True, "store": "off", "iterations": count}, "data")
    with refusals("data", data):
        make(**images.sources, augment=augment)
    crop = getattr(augment, "crop", plain["budget"]["crop"])
    with refusals("data.augment", {"crop": crop}):
        parts.check_crops(crop, data["batch"])
    names = images.names
    count, notice = _check_sizes(images, crop, data["small_images"])
    if (epochs := plain["budget"]["epochs"]) is not None:
        config.budget.iterations = math.ceil(epochs * count / data["batch"])
        config.budget.epochs = None
        plain = resolve(config)
    parts.build({"optimization": plain["system"]["optimization"]})
    parts.check_optimizer()
    first = first_run(config, overrides)
    before = check(*first, known=known).config if first else None
    resolve_sources(config, before, first.overrides if first else ())
    return Ready(config, [*notices, *parts.notices, *notice], names, first)


def _origin(key: str, config: DictConfig) -> str:
    """The key that another one refers to; itself where it does not, or is none."""
    node: Any = config
    for step in split_key(key):
        if isinstance(node, DictConfig):
            node = node._get_node(step, validate_access=False)
        elif isinstance(node, ListConfig):
            node = node._get_node(int(step), validate_access=False)
        if not isinstance(node, Node):
            return key
        node = node._dereference_node()
    return str(node._get_full_key(None))


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
    photographs = OmegaConf.select(config, "clean_dir")
    if photographs is not None and "${clean_dir}" not in OmegaConf.to_yaml(config.dataset):
        raise UsageError(
            f"clean_dir={photographs}: dataset={config.dataset.name} has images of its own; "
            "choose a synthetic one, such as dataset=rain, to degrade yours."
        )
    if missing := next(_missing(OmegaConf.to_container(config)), None):
        raise UsageError(f"{missing} has no value: give {missing}=...")
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
    adversarial = config.loss.get("adversarial") is not None
    if config.discriminator is not None and not adversarial:
        raise UsageError(
            "The loss has no adversarial term, so a discriminator has nothing to learn from: "
            "choose loss=gan or loss=lsgan, or discriminator=none."
        )
    if config.discriminator is not None or not adversarial:
        return []
    config.loss.adversarial = None
    rest = [name for name, term in config.loss.items() if term is not None]
    if not rest:
        raise UsageError("discriminator=none leaves no loss: choose loss=l1 or loss=mse.")
    return [f"No discriminator, so no adversarial term: training on {', '.join(rest)} alone."]


def _check_batch_norm(trainer: Mapping[str, Any], networks: Sequence[str]) -> None:
    if networks and trainer["accelerator"] == "cpu" and trainer["devices"] != 1:
        key = f"system.{networks[0]}.norm"
        raise UsageError(
            f"{key}=batch needs the statistics of all processes, which torch computes on GPUs "
            f"only: choose {key}=instance for trainer=ddp on a CPU."
        )


def _check_whole(plain: Mapping[str, Any]) -> None:
    """What belongs to the run as a whole, and to no part of it."""
    trainer, devices = plain["trainer"], plain["trainer"]["devices"]
    if devices != 1 and "strategy" not in trainer:
        raise UsageError(f"trainer.devices={devices}: for several devices choose trainer=ddp.")
    counted = type(devices) is int and devices >= 1
    if "strategy" in trainer and trainer["accelerator"] == "cpu" and not counted:
        raise UsageError(f"trainer.devices={devices}: give the number of CPU processes.")
    check_whole("threads", plain["threads"], 1, optional=True)
    check_number("checkpoint.minutes", plain["checkpoint"]["minutes"], 0)
    budget = plain["budget"]
    check_whole("budget.checkpoint_every", budget["checkpoint_every"], 1)
    check_number("budget.epochs", budget["epochs"], 0, optional=True)
    if (budget["iterations"] is None) == (budget["epochs"] is None):
        raise UsageError("Set budget.iterations or budget.epochs, and the other one to null.")


def _check_sizes(images: Images, crop: int, small_images: str) -> tuple[int, list[str]]:
    """How many images are trained on, and what is done about those smaller than the crop."""
    count = len(images.sizes)
    small = [index for index, size in enumerate(images.sizes) if min(size) < crop]
    if not small:
        return count, []
    height, width = images.sizes[small[0]]
    if small_images == "refuse":
        raise UsageError(
            f"data.augment.crop={crop} is larger than {len(small)} of {count} training images "
            f"({images.sources['train'].name(small[0])} is {width} x {height}): lower it, or set "
            "dataset.small_images=pad to pad them by reflection, or =skip to leave them out."
        )
    told = f"{len(small)} of {count} training images are smaller than the crop"
    if small_images == "pad":
        return count, [f"{told}: padded."]
    if len(small) == count:
        raise UsageError(
            f"data.augment.crop={crop}: dataset.small_images=skip leaves no image to train."
        )
    return count - len(small), [f"{told}: left out."]
