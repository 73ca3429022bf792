"""Short, stable names: ``ir_lightning.networks.UNet``, in whichever file of the folder it lies."""

import re
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def by_name(package: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package (PEP 562): its classes and functions by their names.

    So a file can be moved or split, and a new part is listed nowhere. A file is imported when
    something in it is asked for: to read a source of images costs no import of torch.
    """

    @cache
    def module_of(name: str) -> str | None:
        folder = Path(sys.modules[package].__path__[0])
        if name.startswith("_") or (folder / f"{name}.py").exists():
            return None
        defined = re.compile(rf"^(class|def) {re.escape(name)}\b", re.MULTILINE)
        for path in sorted(folder.rglob("*.py")):
            if defined.search(path.read_text("utf-8")):
                return ".".join((package, *path.relative_to(folder).with_suffix("").parts))
        return None

    def find(name: str) -> Any:
        if (module := module_of(name)) is None:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(module), name)

    return find


def stable_name(cls: type) -> str:
    """The name by which a class is known on disk: wherever it lies in this package, or its path.

    >>> from ir_lightning.networks.generators.encoder_decoder import UNet
    >>> stable_name(UNet)
    'ir_lightning.networks.UNet'
    """
    package, *folders = cls.__module__.split(".")
    if package == "ir_lightning" and len(folders) > 1:
        return f"{package}.{folders[0]}.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}"


RENAMED = {
    "ir_lightning.data.Halves": "ir_lightning.data.SideBySidePairs",
    "ir_lightning.data.Part": "ir_lightning.data.SceneSplit",
    "ir_lightning.data.SideBySide": "ir_lightning.data.SideBySideFolder",
    "ir_lightning.data.Together": "ir_lightning.data.InterleavedSource",
    "ir_lightning.report.Trend": "ir_lightning.report.Grows",
    "ir_lightning.systems.Recipe": "ir_lightning.systems.Optimization",
}
"""Former names of parts, and what they are called now."""

FOLDERS = {"callbacks": "training", "runs": "training"}  # where the parts of former ones are now


def current_name(target: str) -> str:
    """The short name of a part that a configuration, or weights, may have by a former one.

    >>> current_name("ir_lightning.networks.generators.encoder_decoder.UNet")
    'ir_lightning.networks.UNet'
    >>> current_name("ir_lightning.data.subset.Part")
    'ir_lightning.data.SceneSplit'
    """
    package, _, path = target.partition(".")
    folder, _, rest = path.partition(".")
    if package != "ir_lightning" or not rest:
        return target
    short = f"{package}.{FOLDERS.get(folder, folder)}.{rest.rpartition('.')[2]}"
    return RENAMED.get(short, short)
