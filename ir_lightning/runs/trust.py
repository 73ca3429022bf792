"""What a configuration that somebody else may have written is allowed to name.

Hydra builds whatever a ``_target_`` says, so a file with ``_target_: os.system`` is a program. Run
directories and weights are passed around; before anything of theirs is built, every target must be
a class of the libraries that networks, or trainings, are made of.
"""

import inspect
import os
import re
from typing import Any

from hydra.utils import get_object

from ir_lightning.errors import UsageError

NETWORKS = re.compile(r"(ir_lightning\.networks|torch\.nn)(\.\w+)*")
TRAININGS = re.compile(
    r"(ir_lightning\.(networks|losses|systems|data|runs)|torch\.(nn|optim)|lightning\.pytorch"
    r"|albumentations|torchmetrics|kornia)(\.\w+)*"
)
# Functions that make something out of values only. Every other target has to be a class.
FUNCTIONS = {
    "ir_lightning.data.folder.scenes",
    "ir_lightning.runs.loggers.wandb_logger",
    "ir_lightning.runs.loggers.tensorboard_logger",
}
HARMLESS = {"_target_", "_args_", "_convert_", "_partial_"}  # Hydra's keys that pass values on


def refuse_untrusted(
    node: Any, where: str | os.PathLike[str], trusted: re.Pattern[str] = NETWORKS
) -> None:
    """Refuse a configuration that could do more than build what it is for.

    Every ``_target_``, however deep, must be a class that is defined in a trusted module. A path
    that only passes through one (``ir_lightning.networks.x.os.system``) ends at something defined
    elsewhere. References (``${...}``) could read the environment.

    Args:
        node: configuration as parsed from YAML or JSON.
        where: the file, for messages.
        trusted: the modules.

    Raises:
        UsageError: names what was refused.
    """
    if isinstance(node, str) and "${" in node:
        raise UsageError(f"{where}: refused the reference {node}; only plain values are read here.")
    if isinstance(node, list):
        for entry in node:
            refuse_untrusted(entry, where, trusted)
    if isinstance(node, dict):
        for key, value in node.items():
            if re.fullmatch(r"_\w+_", str(key)) and key not in HARMLESS:
                raise UsageError(f"{where}: refused the key {key}={value}; remove it.")
            refuse_untrusted(value, where, trusted)
        if "_target_" in node and not _is_trusted(node["_target_"], trusted):
            raise UsageError(
                f"{where}: refused to build {node['_target_']}, which is no class of the libraries "
                "that this package builds from. Somebody's own classes are trained by their own "
                "train.py command."
            )


def _is_trusted(target: Any, trusted: re.Pattern[str]) -> bool:
    if not isinstance(target, str) or not trusted.fullmatch(target):
        return False
    if target in FUNCTIONS:
        return True
    try:
        found = get_object(target)
    except Exception:  # whatever a strange path runs into, it leads to no such class
        return False
    return inspect.isclass(found) and trusted.fullmatch(found.__module__) is not None
