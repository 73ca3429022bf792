"""A folder of photographs as clean scenes: enough to begin with."""

import os
import zlib
from functools import cached_property
from pathlib import Path

from ir_lightning.data.audit.duplicates import first_of_identical
from ir_lightning.data.combining import Subset, held_out
from ir_lightning.data.pairs import FileSource, pictures_in
from ir_lightning.data.samples import Sample, Source
from ir_lightning.data.synthetic.depth import ground_plane
from ir_lightning.errors import UsageError

PARTS = {"test": 0.1, "validation": 0.05}
"""Share of the photographs, cut off one after the other; the rest is for training."""


class Folder(FileSource):
    """All images of a folder, clean, for a composition model to degrade.

    Folders in it are not looked into. The depth is made up by
    :func:`~ir_lightning.data.synthetic.depth.ground_plane`, a function of name and size.

    Raises:
        UsageError: the folder is missing or empty, or a name is ambiguous.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        super().__init__(pictures_in(root))

    def __getitem__(self, index: int) -> Sample:
        """Read one photograph; raises DataError where the file is broken."""
        (clean,) = self._read(index)
        depth = ground_plane(*clean.shape[:2], seed=zlib.crc32(self.name(index).encode()))
        return Sample(self.name(index), clean, depth=depth)

    def scene(self, index: int) -> str:
        """The stem of the first file with the same bytes."""
        return self._originals[index].stem

    @cached_property
    def _originals(self) -> list[Path]:
        return first_of_identical([pair.files[0] for pair in self.pairs])


def scenes(clean_dir: str | None, part: str, built_in: Source) -> Source:
    """A part (``train``, ``validation``, ``test``) of the user's own scenes, or the built-in ones.

    Raises:
        UsageError: the folder holds fewer than three different images.
    """
    if clean_dir is None:
        return built_in
    source = Folder(clean_dir)
    keys = [source.scene(index) for index in range(len(source))]
    if len(set(keys)) < 3:
        raise UsageError(
            f"clean_dir={clean_dir}: {len(set(keys))} different images cannot be cut into a "
            "training, a validation and a test part; give at least three."
        )
    part_of = dict.fromkeys(keys, "train")
    for name, fraction in PARTS.items():
        rest = [key for key, owner in part_of.items() if owner == "train"]
        part_of |= dict.fromkeys(held_out(rest, fraction, seed=0), name)
    return Subset(source, [index for index, key in enumerate(keys) if part_of[key] == part])
