"""What a run is: a hash of what shapes its weights; what an evaluation is: of how it scores them.

A training's identity is the networks, losses and optimisation, the training data and how they are
augmented, what the best weights are chosen by, seed and precision; a positive list, so that a new
key, another way of scoring or of watching, another place or machine is the same run. Each object
counts by its stable name and those arguments that differ from its constructor's defaults
(:mod:`ir_lightning.runs.canonical`). Whoever changes what a default means, or this list, raises
:data:`VERSION`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from ir_lightning.names import current_name
from ir_lightning.runs.canonical import canonical, canonical_object

VERSION = 2
"""Of what is hashed. 1, in records without ``identity_version``, was the whole configuration."""

SYSTEM = ("generator", "discriminator", "loss", "optimization")
SYSTEM_WATCHES = ("saturated_accuracy", "saturated_iterations")
DATA = (
    *("train", "validation", "composition", "input", "augment", "seed", "iterations", "batch"),
    *("validation_images", "evaluation_side", "small_images"),
)
DATA_ELSEWHERE = ("test", "test_images", "store", "stores", "workers")
TRAINER_WHERE = (
    *("accelerator", "benchmark", "deterministic", "devices", "num_nodes", "strategy"),
    "sync_batchnorm",
)
TEST = ("test", "test_images", "evaluation_side", "composition")
CHOICE = ("choose_by", "validation_protocol", "validation_metrics")
TILING = ("whole_pixels", "tile", "overlap")

WATCHERS = frozenset(
    {
        "ir_lightning.training.Balance",
        "ir_lightning.training.IterationBar",
        "lightning.pytorch.callbacks.DeviceStatsMonitor",
        "lightning.pytorch.callbacks.LearningRateMonitor",
        "lightning.pytorch.callbacks.ModelSummary",
        "lightning.pytorch.callbacks.RichProgressBar",
        "lightning.pytorch.callbacks.TQDMProgressBar",
    }
)
"""Callbacks that only look at the training, known without the seconds that their import takes. A
class elsewhere says so by ``watches_only = True``."""

UNNAMED = (
    *("budget.log_every", "budget.name", "budget.test_images", "callbacks.progress", "checkpoint"),
    *("data.store", "data.stores", "data.workers", "dataset.store", "evaluation", "logger"),
    *("paths", "pretrain.discriminator", "pretrain.first", "pretrain.generator", "rerun"),
    *("run_dir", "sweep", "threads", "trainer.accelerator", "trainer.devices"),
    *("trainer.num_nodes", "trainer.strategy", "trainer.sync_batchnorm"),
)
"""Keys that a run is not called by: how it is scored and watched, and where it lies."""
LONGEST_NAME = 120  # characters; file systems allow 255 bytes
DATA_FOLDER = "<paths.data>"


def training_hash(config: DictConfig | Mapping[str, Any], tiled: bool = False) -> str:
    """Ten hexadecimal digits that stand for what shapes a run's weights.

    The folder of the benchmarks is replaced by a placeholder, so that a run is the same run
    wherever the data lie. A folder of the user's own, named outright, is part of the identity.

    Args:
        config: of a run, complete.
        tiled: whether its validation restores images in tiles. How large they are then takes part
            in the choice of the best weights; otherwise it changes nothing.
    """
    plain = _portable(config)
    system, data, trainer = plain["system"], plain["data"], plain["trainer"]
    evaluation = system["evaluation"]
    chosen = evaluation["metrics"].get(evaluation["choose_by"], evaluation["choose_by"])
    watched = _without(system, ("evaluation", *SYSTEM_WATCHES))
    watched["optimization"] = _without(system["optimization"], ("log_every",))
    callbacks = (plain["callbacks"] or {}).values()
    return _digits(
        system=canonical_object(watched, SYSTEM),
        data=canonical_object(_without(data, DATA_ELSEWHERE), DATA),
        trainer=canonical_object(_without(trainer, TRAINER_WHERE), ("precision",)),
        callbacks=[canonical(node) for node in callbacks if not _only_watches(node)],
        pretrain=canonical(plain["pretrain"].get("sources")),
        seed=data["seed"],
        epochs=plain["budget"]["epochs"],  # until they are counted out in iterations
        validate_every=plain["budget"]["checkpoint_every"],
        choose_by=[evaluation["validation_protocol"], canonical(chosen)],
        tiling=[evaluation[key] for key in TILING] if tiled else None,
    )


def evaluation_hash(config: DictConfig | Mapping[str, Any]) -> str:
    """Ten hexadecimal digits that stand for how a trained run is scored, whichever it is.

    Scores of two evaluations are never compared: they come of other images, degradations, cuts,
    protocols, metrics or weights (best or last). What the network is given of a test image (the
    degraded one, or with ``task=reconstruction`` the clean one) is the run's, not the evaluation's.

    Args:
        config: of a run, complete.
    """
    plain = _portable(config)
    test = {key: plain["data"][key] for key in TEST}
    evaluation = _without(plain["system"]["evaluation"], CHOICE)
    return _digits(test=canonical(test), evaluation=canonical(evaluation))


def _digits(**parts: Any) -> str:
    text = json.dumps({"identity": VERSION, **parts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _portable(config: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Plain values, every reference followed; the folder of the benchmarks is a placeholder."""
    keys = ("system", "data", "trainer", "callbacks", "pretrain", "budget")
    if isinstance(config, DictConfig):
        root = config.paths.data
        nodes = {key: config[key] for key in keys}
        plain = {
            key: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
            for key, node in nodes.items()
        }
    else:
        root, plain = config["paths"]["data"], {key: config[key] for key in keys}
    return plain if root is None else rebased(plain, str(root), DATA_FOLDER)


def rebased(node: Any, root: str, other: str) -> Any:
    """Plain values in which what lies in the folder ``root`` lies in ``other``."""
    if isinstance(node, Mapping):
        return {key: rebased(value, root, other) for key, value in node.items()}
    if isinstance(node, list):
        return [rebased(value, root, other) for value in node]
    if isinstance(node, str) and f"{node}/".startswith(f"{root.rstrip('/')}/"):
        inside = node[len(root) :].lstrip("/")
        return f"{other}/{inside}" if inside else other
    return node


def _without(node: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in keys}


def _only_watches(node: Mapping[str, Any]) -> bool:
    """Whether a callback changes nothing of the training."""
    target = current_name(str(node["_target_"]))
    return target in WATCHERS or bool(getattr(get_object(target), "watches_only", False))


def directory_of(config: DictConfig, overrides: list[str], config_hash: str) -> Path:
    """The run's directory: ``run_dir``, or the one with this hash, or a new one by its overrides.

    Args:
        config: of the run.
        overrides: the command line's.
        config_hash: of :func:`training_hash`.
    """
    if config.run_dir:
        return Path(config.run_dir)
    runs = Path(config.paths.runs)
    known = sorted(runs.glob(f"*-{config_hash}"))
    return known[0] if known else runs / f"{name_of(overrides)}-{config_hash}"


def name_of(overrides: list[str]) -> str:
    """A file name out of command-line overrides, in alphabetical order.

    >>> name_of(["depth=3", "budget=smoke", "paths.runs=elsewhere"])
    'budget=smoke,depth=3'
    """
    named = [o.lstrip("+~") for o in overrides if not o.lstrip("+~").startswith(UNNAMED)]
    return re.sub(r"[^\w.,=+-]+", "_", ",".join(sorted(named)))[:LONGEST_NAME] or "default"
