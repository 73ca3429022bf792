"""What cannot work is refused here, in words, before torch is imported or a GPU is taken."""

import math
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from ir_lightning.build import build
from ir_lightning.data.source import Source
from ir_lightning.errors import UsageError
from ir_lightning.networks.geometry import DEPTHS, smallest_crop, smallest_image

SPLITS = ("train", "validation", "test")


def check(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """Complete a composed configuration and refuse what cannot work.

    Returns:
        The configuration, with the budget's iterations counted out, and notices for the user.

    Raises:
        UsageError: one sentence naming the key or file and what to do.
    """
    config = config.copy()
    notices = _settle_discriminator(config)
    plain = resolve(config)
    _check_networks(plain)
    sources = {split: build(plain["dataset"][split], f"dataset.{split}") for split in SPLITS}
    _check_sources(sources)
    _settle_budget(config, plain, len(sources["train"]))
    return config, notices


def resolve(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values, every reference followed.

    Raises:
        UsageError: a value that must be given is missing, or a reference leads nowhere.
    """
    try:
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    except MissingMandatoryValue as error:
        raise UsageError(f"{error.full_key} has no value: set {error.full_key}=...") from None
    except (InterpolationResolutionError, OmegaConfBaseException) as error:
        raise UsageError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    return plain


def _settle_discriminator(config: DictConfig) -> list[str]:
    """`discriminator=none` is the ablation without a discriminator: its loss term goes with it."""
    if config.discriminator is None and config.loss.get("adversarial") is not None:
        config.loss.adversarial = None
        rest = [name for name, term in config.loss.items() if term is not None]
        if not rest:
            raise UsageError("discriminator=none leaves no loss to train on: choose loss=l1 or mse.")
        return [f"No discriminator, so no adversarial term: training on {', '.join(rest)} alone."]
    if config.discriminator is not None and config.loss.get("adversarial") is None:
        raise UsageError(
            "The loss has no adversarial term, so a discriminator has nothing to learn from: "
            "choose loss=gan or loss=lsgan, or discriminator=none."
        )
    return []


def _check_networks(plain: dict[str, Any]) -> None:
    depth, crop = plain["depth"], plain["budget"]["crop"]
    if depth not in DEPTHS:
        raise UsageError(f"depth={depth} is out of range: choose 1 to {DEPTHS[-1]}.")
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
    enhancer = plain["enhancer"] or {}
    positions = enhancer.get("positions", [])
    beyond = [p for p in ([positions] if isinstance(positions, int) else positions) if p > depth]
    if beyond:
        raise UsageError(
            f"enhancer.positions={positions}: there is no encoder layer {beyond[0]} at "
            f"depth={depth}; use positions up to {depth} or a larger depth."
        )


def _check_sources(sources: dict[str, Source]) -> None:
    for split, source in sources.items():
        if len(source) == 0:
            raise UsageError(f"dataset.{split} has no images.")
        if hasattr(source, "check"):
            source.check()


def _settle_budget(config: DictConfig, plain: dict[str, Any], images: int) -> None:
    budget = plain["budget"]
    for key in ("batch", "checkpoint_every", "log_every"):
        if budget[key] < 1:
            raise UsageError(f"budget.{key}={budget[key]} must be at least 1.")
    if (budget["iterations"] is None) == (budget["epochs"] is None):
        raise UsageError("Set budget.iterations or budget.epochs, and the other one to null.")
    if budget["iterations"] is None:
        config.budget.iterations = math.ceil(budget["epochs"] * images / budget["batch"])
        config.budget.epochs = None
    if config.budget.iterations < 1:
        raise UsageError(f"budget.iterations={config.budget.iterations} must be at least 1.")
