"""From configuration to objects, and whom a configuration may name."""

import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from ir_lightning.errors import DataError, UsageError
from ir_lightning.names import current_name


def build(node: Mapping[str, Any], key: str) -> Any:
    """Instantiate the ``_target_`` of a node, and those inside it.

    ``key`` is where the node, plain and resolved, stands in the configuration.

    Raises:
        UsageError, DataError: as raised by a constructor, with configuration keys for the names of
            its arguments; or when a target does not exist or refuses its arguments.
    """
    try:
        return instantiate(current(node), _convert_="all")
    except InstantiationException as error:
        reason = error.__cause__ or error
        cause: BaseException | None = error
        while cause is not None:
            reason = cause if isinstance(cause, UsageError | DataError) else reason
            cause = cause.__cause__
        part = re.search(r"^full_key: (.+)$", str(error), re.MULTILINE)
        with refusals(*_inside(node, key, part[1] if part else "")):
            raise reason from None


@contextmanager
def refusals(key: str, node: Any) -> Iterator[None]:
    """Say by their keys what a part refuses: ``depth=9: ...`` becomes ``generator.depth=9: ...``.

    ``key`` is where the part stands in the configuration, and ``node`` its plain configuration.

    Raises:
        UsageError: for a TypeError, ValueError or ImportError, and what Hydra cannot instantiate.
    """
    arguments = node if isinstance(node, Mapping) else {}
    try:
        yield
    except (UsageError, DataError) as error:
        known = arguments.keys()
        error.args = (
            with_keys(str(error), lambda n: f"{key}.{n}" if n.partition(".")[0] in known else n),
        )
        raise error from None
    except (TypeError, ValueError, ImportError, InstantiationException) as error:
        values = [f"{k}={v}" for k, v in arguments.items() if k[:1] != "_" and _is_plain(v)]
        given = f" ({', '.join(values)})" if values else ""
        raise UsageError(f"{key}{given}: {' '.join(str(error).split())[:300]}") from error


def with_keys(sentence: str, key_of: Callable[[str], str]) -> str:
    """A sentence in which each name before an equals sign is replaced.

    >>> with_keys("depth=9: give a whole number from 1 to 8.", lambda name: f"generator.{name}")
    'generator.depth=9: give a whole number from 1 to 8.'
    """
    return re.sub(r"(?<![\w./-])([a-z][\w.]*)(?==)", lambda name: key_of(name[1]), sentence)


def _inside(node: Any, key: str, path: str) -> tuple[str, Any]:
    """The key and the configuration of a part of a part."""
    for step in path.split(".") if path else []:
        name, place = re.fullmatch(r"(.*?)\[?(\d*)\]?", step).groups()  # type: ignore[union-attr]
        if step in node:
            key, node = f"{key}.{step}", node[step]
        elif name in node and place:  # the first of a list is extra0 to Hydra
            key, node = f"{key}.{name}[{place}]", node[name][int(place)]
    return key, node


def _is_plain(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return not any(isinstance(item, Mapping | list) for item in items)


def current(node: Any) -> Any:
    """A plain configuration with every ``_target_`` by its current name."""
    if isinstance(node, list):
        return [current(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    renewed = {key: current(value) for key, value in node.items()}
    if isinstance(target := renewed.get("_target_"), str):
        renewed["_target_"] = current_name(target)
    return renewed


ANY = "builtins.object"
MODULE = "torch.nn.modules.module.Module"
METRIC = "torchmetrics.metric.Metric"
HARMLESS = frozenset({"_target_", "_args_", "_convert_"})  # Hydra's keys that only pass values on


@dataclass(frozen=True)
class Trusted:
    """What may be built; Hydra would build whatever a file says, a program too."""

    what: str  # it is for, in messages
    # Modules, and the name of the base that a class which is defined in or below them must have.
    classes: Mapping[str, str]
    functions: frozenset[str] = frozenset()  # paths of those that make something out of values only
    keys: frozenset[str] = HARMLESS  # of Hydra's, those that may occur

    def plus(self, packages: Iterable[str]) -> "Trusted":
        """The same and whatever is in these packages, which the caller trusts."""
        return replace(self, classes={**self.classes, **dict.fromkeys(packages, ANY)})

    def allows(self, target: Any) -> bool:
        """Whether a ``_target_`` may be built. Imports nothing but trusted modules to find out."""
        if not isinstance(target, str) or not re.fullmatch(r"\w+(\.\w+)+", target):
            return False
        if target in self.functions:
            return True
        path, _, name = target.rpartition(".")
        # lightning.pytorch.Trainer is defined below lightning.pytorch.trainer, which imports it.
        if not any(_below(path, known) or _below(known, path) for known in self.classes):
            return False
        try:
            # A module under its own path: not one that it imported, and not what an object there
            # makes of an attribute (kornia has some that offer to install a package).
            found = getattr(import_module(path), name)
            return self._allows_class(found) and get_object(target) is found
        except Exception:  # whatever a strange path runs into, it leads to no such class
            return False

    def _allows_class(self, found: Any) -> bool:
        if not inspect.isclass(found):
            return False
        bases = {f"{base.__module__}.{base.__qualname__}" for base in found.__mro__}
        pairs = self.classes.items()
        return any(_below(found.__module__, known) and base in bases for known, base in pairs)


NETWORKS = Trusted("networks", {"ir_lightning.networks": ANY, "torch.nn": MODULE})
OURS = ("losses", "metrics", "systems", "data", "training.callbacks")
FUNCTIONS = ("data.scenes", "training.wandb_logger", "training.tensorboard_logger")
TORCHMETRICS = ("image", "regression", "aggregation")
KORNIA = ("augmentation", "color", "enhance", "filters", "geometry", "losses", "morphology")
# Where a library does more than a training needs, only a part of it stands here. Left out are:
# Lightning's LightningCLI (builds what a string says) and its loggers for servers, and this
# package's W&B process (the configuration could say whom to send the user's key to); torchmetrics
# and kornia models (fetched by a name or an address that the configuration gives).
TRAININGS = Trusted(
    "trainings",
    {
        **NETWORKS.classes,
        **dict.fromkeys((f"ir_lightning.{folder}" for folder in OURS), ANY),
        "torch.optim": "torch.optim.optimizer.Optimizer",
        "torch.optim.lr_scheduler": "torch.optim.lr_scheduler.LRScheduler",
        "lightning.pytorch.trainer": "lightning.pytorch.trainer.trainer.Trainer",
        "lightning.pytorch.callbacks": "lightning.pytorch.callbacks.callback.Callback",
        "lightning.pytorch.strategies": "lightning.pytorch.strategies.strategy.Strategy",
        "lightning.pytorch.loggers.csv_logs": "lightning.pytorch.loggers.logger.Logger",
        "lightning.pytorch.loggers.tensorboard": "lightning.pytorch.loggers.logger.Logger",
        "albumentations": "albumentations.core.serialization.Serializable",
        **dict.fromkeys((f"torchmetrics.{part}" for part in TORCHMETRICS), METRIC),
        **dict.fromkeys((f"kornia.{part}" for part in KORNIA), MODULE),
    },
    frozenset(f"ir_lightning.{name}" for name in FUNCTIONS),
    HARMLESS | {"_partial_"},
)


def refuse_untrusted(node: Any, where: str | os.PathLike[str], trusted: Trusted = NETWORKS) -> None:
    """Refuse a configuration that could do more than build what it is for.

    Every ``_target_``, however deep, must be a class of a trusted kind. A path that only passes
    through a trusted module (``ir_lightning.networks.x.os.system``) leads elsewhere. References
    (``${...}``) could read the environment. ``where`` is the file, for messages.

    Raises:
        UsageError: names what was refused.
    """
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, str) and "${" in node:
            raise UsageError(
                f"{where}: refused the reference {node}; only plain values are read here."
            )
        if not isinstance(node, dict | list):
            continue
        if id(node) in seen:  # YAML's *alias: a page of them unfolds to gigabytes, or for ever
            raise UsageError(f"{where}: refused an alias; only plain values are read here.")
        seen.add(id(node))
        if isinstance(node, dict):
            _refuse_keys(node, where, trusted)
        waiting += node.values() if isinstance(node, dict) else node


def _refuse_keys(node: dict[Any, Any], where: str | os.PathLike[str], trusted: Trusted) -> None:
    for key, value in node.items():
        if re.fullmatch(r"_\w+_", str(key)) and key not in trusted.keys:
            raise UsageError(f"{where}: refused the key {key}={value}; remove it.")
    if "_target_" in node and not trusted.allows(current_name(str(node["_target_"]))):
        raise UsageError(
            f"{where}: refused to build {node['_target_']}, which is no class that {trusted.what} "
            "of this package are made of. If you trust the package that it is in, name it: "
            f"--trust {str(node['_target_']).partition('.')[0]}, or trust=[...] in Python."
        )


def _below(path: str, package: str) -> bool:
    """Whether a module is the package or lies in it."""
    return f"{path}.".startswith(f"{package}.")
