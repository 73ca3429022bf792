"""Rain100L and Rain100H, as their authors packed them (CVPR 2017)."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ir_lightning.data.layout import find, images_in
from ir_lightning.data.names import by_stem, pair_up
from ir_lightning.data.pairs import FilePairs
from ir_lightning.errors import UsageError

NAME = re.compile(r"^(?P<clean>no)?rain-(?P<number>\d+)(?:x\d+)?$")
"""rain-001, rain-1x2, norain-001: the same number is the same photograph."""


class Rain100(FilePairs):
    """``rain-001.png`` and ``norain-001.png`` in one folder, or in ``rainy`` and ``norain``.

    Args:
        root: of the data set.
        folders: what the folder of the split may be called.

    Raises:
        UsageError: no such folder, or an image without partner.
    """

    def __init__(self, root: str | os.PathLike[str], folders: Sequence[str]) -> None:
        rainy, clean = find(
            root, "Rain100", folders, ("rainy", "rain", "input", "."), ("norain", "target", ".")
        )
        if rainy == clean:
            rainy_files, clean_files = _told_apart(clean)
        else:
            rainy_files, clean_files = images_in(rainy), images_in(clean)
        super().__init__(pair_up(by_stem(rainy_files), by_stem(clean_files), _clean_stem, "number"))


def _told_apart(folder: Path) -> tuple[list[Path], list[Path]]:
    """The rainy and the clean images of one folder."""
    files = [(file, NAME.match(file.stem)) for file in images_in(folder)]
    rainy = [file for file, name in files if name and not name["clean"]]
    clean = [file for file, name in files if name and name["clean"]]
    if not rainy or not clean:
        raise UsageError(
            f"{folder}: {len(rainy)} images are called rain-001 and {len(clean)} norain-001; "
            "both are needed."
        )
    return rainy, clean


def _clean_stem(stem: str) -> str:
    name = NAME.match(stem)
    return f"norain-{name['number']}" if name else stem
