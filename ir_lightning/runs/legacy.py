"""Run directories of earlier versions, in the words of this one: what is up to date passes."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from ir_lightning.errors import UsageError
from ir_lightning.names import current_name

CONFIG = "config.yaml"
COMMAND = "the train.py command that it is a run of"
RECORD = {"asked": "overrides", "discriminator_won_at": "d_saturated_at"}
SYSTEM = {"won_accuracy": "saturated_accuracy", "won_iterations": "saturated_iterations"}
STATE = {"wins": "d_saturated_for", "won_at": "d_saturated_at"}
METRICS = {
    "psnr": {"_target_": "ir_lightning.metrics.PSNR"},
    "ssim": {"_target_": "ir_lightning.metrics.SSIM"},
    "undegraded_psnr": {"_target_": "ir_lightning.metrics.UndegradedPSNR"},
}
SPEED = {
    "_target_": "ir_lightning.training.Speed",
    "name": "exact",
    "precision": "32-true",
    "reproducible": True,
    "channels_last": False,
    "graph": False,
    "degrade_on_gpu": False,
}
"""Of all runs, before there was a choice; the precision was the trainer's."""
SUBPIXEL = "ir_lightning.networks.SubPixel"
EVALUATION = ("protocols", "whole_pixels", "tile", "overlap")
"""Keys of ``recipe`` that were about evaluation."""


def read_config(run_dir: Path) -> Any:
    """``config.yaml`` of a run directory, plain, with today's keys; a stranger may have written it.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    path = run_dir / CONFIG
    try:
        plain = yaml.safe_load(path.read_text("utf-8"))
    except OSError:
        raise UsageError(f"{path}: it was never begun; give {COMMAND}.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UsageError(f"{path}: it cannot be read; give {COMMAND}.") from None
    return current_config(plain) if isinstance(plain, dict) else plain


def current_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """``result.json`` with today's keys."""
    return _renamed(record, RECORD)


def current_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A plain, resolved ``config.yaml`` with today's keys.

    ``recipe`` has become ``optimization`` and ``evaluation``, but for what it said about the
    discriminator, which is the system's.
    """
    renewed = dict(config)
    for place in ((), ("generator",), ("system", "generator")):
        renewed = _begun_normal(renewed, (*place, "upsampler"))
    if "trainer" in renewed:
        renewed.setdefault("speed", {**SPEED})
    if isinstance(renewed.get("recipe"), Mapping):
        renewed["optimization"], _, _ = _parts(renewed.pop("recipe"))
    if isinstance(evaluation := renewed.get("evaluation"), Mapping):
        unsaid = {
            "_target_": "ir_lightning.systems.Evaluation",
            "choose_by": "psnr",
            "metrics": deepcopy(METRICS),
        }
        if protocols := evaluation.get("protocols"):  # the first protocol chose the weights
            unsaid["validation_protocol"] = protocols[0]
        renewed["evaluation"] = dict(evaluation)
        for key, value in unsaid.items():
            renewed["evaluation"].setdefault(key, value)
    system = renewed.get("system")
    if isinstance(system, Mapping) and isinstance(system.get("recipe"), Mapping):
        system = dict(system)
        optimization, scored, saturation = _parts(system.pop("recipe"))
        about = {**deepcopy(renewed.get("evaluation", {})), **scored}
        saturation = saturation if "discriminator" in system else {}
        renewed["system"] = {
            **system,
            "optimization": optimization,
            "evaluation": about,
            **saturation,
        }
    return renewed


def current_system_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """The ``state_dict`` of a system with today's names of its buffers."""
    return _renamed(state, STATE)


def _begun_normal(node: Mapping[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    """The same, but a sub-pixel convolution at this place says that it began ``normal``, as all did
    before there was a choice, unless it says how.
    """
    if not place:
        ours = current_name(str(node.get("_target_"))) == SUBPIXEL
        return {"init": "normal", **node} if ours else dict(node)
    key, *inside = place
    if not isinstance(inner := node.get(key), Mapping):
        return dict(node)
    return {**node, key: _begun_normal(inner, tuple(inside))}


def _parts(recipe: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What a recipe said about optimisation, evaluation and the discriminator's saturation."""
    elsewhere = {*EVALUATION, *SYSTEM}
    optimization = {key: value for key, value in recipe.items() if key not in elsewhere}
    optimization["_target_"] = "ir_lightning.systems.Optimization"
    scored = {key: recipe[key] for key in EVALUATION if key in recipe}
    saturation = {new: recipe[old] for old, new in SYSTEM.items() if old in recipe}
    return optimization, scored, saturation


def _renamed(old: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in old.items()}
