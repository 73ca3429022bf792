"""What a run is: a hash of what shapes its weights; an evaluation: of how it scores them."""

import hashlib
import inspect
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from ir_lightning.names import current_name

VERSION = 3
"""Of what is hashed; to be raised with what a default means, or with this positive list, which
leaves out how a run is scored and watched, and where. 1 was the whole configuration; until 2 first
weights were drawn one after the other, now each by its name."""

SYSTEM = ("generator", "discriminator", "loss", "optimization")
SYSTEM_WATCHES = ("saturated_accuracy", "saturated_iterations")
DATA = (
    *("train", "validation", "composition", "input", "augment", "seed", "iterations", "batch"),
    *("validation_images", "evaluation_side", "evaluation_order", "small_images"),
)
DATA_ELSEWHERE = ("test", "test_images", "store", "stores", "workers")
TRAINER_WHERE = (
    *("accelerator", "benchmark", "deterministic", "devices", "num_nodes", "strategy"),
    "sync_batchnorm",
)
SPEED_SHAPES = ("channels_last", "degrade_on_gpu", "graph")
TEST = ("test", "test_images", "evaluation_side", "evaluation_order", "composition")
CHOICE = ("choose_by", "validation_protocol", "validation_metrics")
TILING = ("whole_pixels", "tile", "overlap")

WATCHERS = {
    *("ir_lightning.training.Balance", "ir_lightning.training.IterationBar"),
    "lightning.pytorch.callbacks.DeviceStatsMonitor",
    "lightning.pytorch.callbacks.LearningRateMonitor",
    "lightning.pytorch.callbacks.ModelSummary",
    "lightning.pytorch.callbacks.RichProgressBar",
    "lightning.pytorch.callbacks.TQDMProgressBar",
}
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
SPEED = frozenset({"capturable", "foreach", "fused"})
"""Arguments of ``torch.optim`` that choose between implementations of the same step."""


def training_hash(config: DictConfig | Mapping[str, Any], tiled: bool = False) -> str:
    """Ten hexadecimal digits that stand for what shapes the weights of a run.

    The folder of the benchmarks is replaced by a placeholder: the run is the same wherever they
    lie. A folder of the user's own, named outright, is part of the identity. Where the validation
    restores images in tiles (``tiled``), their size takes part in the choice of the best weights.
    """
    plain = _portable(config)
    system, data, trainer = plain["system"], plain["data"], plain["trainer"]
    evaluation = system["evaluation"]
    chosen = evaluation["metrics"].get(evaluation["choose_by"], evaluation["choose_by"])
    watched = _without(system, ("evaluation", *SYSTEM_WATCHES))
    watched["optimization"] = _without(system["optimization"], ("log_every",))
    callbacks = (plain["callbacks"] or {}).values()
    return _digits(
        **_speed(config),
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


def _speed(config: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """What the way of computing adds; nothing if it is exact, as it was before there was a choice.

    The precision is the trainer's.
    """
    speed = config.get("speed") or {"reproducible": True}
    return {} if speed["reproducible"] else {"speed": {key: speed[key] for key in SPEED_SHAPES}}


def evaluation_hash(config: DictConfig | Mapping[str, Any]) -> str:
    """Ten hexadecimal digits that stand for how a trained run is scored, whichever it is.

    Scores of two evaluations are never compared: they come of other images, degradations, cuts,
    protocols, metrics or weights (best or last). What the network is given of a test image (the
    degraded one, or with ``task=reconstruction`` the clean one) is the run's, not the evaluation's.
    """
    plain = _portable(config)
    test = {key: plain["data"].get(key) for key in TEST}
    evaluation = _without(plain["system"]["evaluation"], CHOICE)
    return _digits(test=canonical(test), evaluation=canonical(evaluation))


def _digits(**parts: Any) -> str:
    text = json.dumps({"identity": VERSION, **parts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _portable(config: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Plain values, every reference followed; the folder of the benchmarks is a placeholder."""
    plain: dict[str, Any] = {}
    root = config["paths"]["data"]
    for key in ("system", "data", "trainer", "callbacks", "pretrain", "budget"):
        node = config[key]
        whole = OmegaConf.is_config(node)
        plain[key] = OmegaConf.to_container(node, resolve=True) if whole else node
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
    """``run_dir``, or the run directory with this hash, or a new one by its overrides."""
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


def canonical(value: Any) -> Any:
    """A plain, resolved value as JSON knows it, freed from what changes nothing.

    An object (a mapping with a ``_target_``) is its stable name and those arguments that differ
    from its constructor's defaults. Of other mappings, entries that are null are left out: a loss
    term, say, that is switched off. 1.0 is 1, and a tuple is a list.
    """
    if isinstance(value, Mapping):
        if "_target_" in value:
            return canonical_object(value)
        return {str(key): canonical(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [canonical(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def canonical_object(node: Mapping[str, Any], known: Collection[str] = ()) -> dict[str, Any]:
    """The canonical form of a mapping with a ``_target_``.

    The class, which may take seconds to import, is looked at only if there are other arguments than
    those ``known`` to have no default, or None.
    """
    name = current_name(str(node["_target_"]))
    ours = SPEED if name.startswith("torch.optim.") else frozenset()
    given = {
        key: canonical(value)
        for key, value in node.items()
        if key == "_args_" or not (key[:1] == key[-1:] == "_" or key in ours)
    }
    defaults = dict.fromkeys(known)
    if given.keys() - defaults.keys():
        defaults |= _defaults_of(name)
    usual = {key: canonical(value) for key, value in defaults.items() if key in given}
    different = {k: v for k, v in given.items() if k not in usual or v != usual[k]}
    return {"_target_": name, **different}


def _defaults_of(target: str) -> dict[str, Any]:
    """Default values of the arguments of a class or function, by name.

    Where a constructor hands ``**kwargs`` on, those of the classes that it inherits from count too.
    """
    try:
        made = get_object(target)
    except Exception:  # whoever builds it will say what is wrong
        return {}
    defaults: dict[str, Any] = {}
    for step in made.__mro__ if inspect.isclass(made) else (made,):
        try:
            parameters = inspect.signature(step).parameters
        except (TypeError, ValueError):  # made of C, and says nothing
            break
        defaults = {name: p.default for name, p in parameters.items()} | defaults
        if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            break
    return {name: value for name, value in defaults.items() if value is not inspect.Parameter.empty}
