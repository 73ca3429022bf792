"""Pairs of degraded and clean images that lie on disk."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ir_lightning.data.image_files import image_size, read_image
from ir_lightning.data.layout import images_in
from ir_lightning.data.names import PairFiles, by_stem, compiled, pair_up
from ir_lightning.data.samples import Image, Sample
from ir_lightning.errors import DataError, UsageError


class FilePairs:
    """Degraded and clean images in files of their own.

    Files are opened by :meth:`check` and by indexing only.

    Args:
        pairs: in order.
        border: pixels by which the clean image may exceed the degraded one on every side; it is
            then cropped (SOTS-indoor: 10). Nothing is ever resized.
    """

    def __init__(self, pairs: Sequence[PairFiles], border: int = 0) -> None:
        self.pairs = pairs
        self.border = border

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read one pair.

        Raises:
            DataError: a file is broken, or the two sizes differ.
        """
        degraded, clean = (read_image(file) for file in self.files(index))
        if problem := self._difference(index, degraded.shape[:2], clean.shape[:2]):
            raise DataError(problem)
        return Sample(self.name(index), self._cropped(clean, degraded.shape), degraded)

    def name(self, index: int) -> str:
        """Of the pair, unique in the source."""
        return self.pairs[index].name

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the degraded image, from its header."""
        return image_size(self.pairs[index].degraded)

    def scene(self, index: int) -> str:
        """All degraded versions of one clean image are one scene."""
        return self.pairs[index].scene

    def files(self, index: int) -> list[Path]:
        """The degraded and the clean file."""
        return [self.pairs[index].degraded, self.pairs[index].clean]

    def check(self) -> None:
        """Compare the sizes in all headers.

        Raises:
            UsageError: names the first file that is unreadable or differs from its partner.
        """
        refuse_problems([self._problem(index) for index in range(len(self))])

    def _problem(self, index: int) -> str | None:
        try:
            degraded, clean = (image_size(file) for file in self.files(index))
        except DataError as error:
            return str(error)
        return self._difference(index, degraded, clean)

    def _difference(
        self, index: int, degraded: tuple[int, ...], clean: tuple[int, ...]
    ) -> str | None:
        within = tuple(side - 2 * self.border for side in clean)
        if degraded in (clean, within):
            return None
        files = self.files(index)
        return (
            f"{files[0]} is {degraded[1]} x {degraded[0]} pixels, but its clean image "
            f"{files[1]} is {clean[1]} x {clean[0]}; cut both to the same size."
        )

    def _cropped(self, clean: Image, shape: tuple[int, ...]) -> Image:
        if clean.shape == shape:
            return clean
        inside = slice(self.border, -self.border)
        return np.ascontiguousarray(clean[inside, inside])


class PairedFolders(FilePairs):
    """Degraded and clean images in two folders, paired by name.

    A rule finds the clean file's stem (its name without extension) in the degraded file's stem:

    ====== =========================================================== ====================
    rule   clean stem                                                  example
    ====== =========================================================== ====================
    stem   the same                                                    a.jpg -> a.png
    prefix up to the first ``_``; many degraded images may share it    1_3_0.9.png -> 1.png
    regex  the one group of ``pattern``, searched in the degraded stem ``^(.+)_rain``
    ====== =========================================================== ====================

    A pair is called by its degraded file's stem; its scene is the clean file's stem.

    Args:
        degraded: folder of the degraded images.
        clean: folder of the clean images.
        rule: ``stem``, ``prefix`` or ``regex``.
        pattern: the regular expression of the rule ``regex``, with exactly one group.
        border: as for :class:`FilePairs`.

    Raises:
        UsageError: a folder is missing or empty, a name is ambiguous, or an image has no partner.
    """

    def __init__(
        self,
        degraded: str | os.PathLike[str],
        clean: str | os.PathLike[str],
        rule: str = "stem",
        pattern: str | None = None,
        border: int = 0,
    ) -> None:
        expression = compiled(rule, pattern)

        def clean_stem(stem: str) -> str | None:
            found = expression.search(stem)
            return found[1] if found else None

        pairs = pair_up(by_stem(images_in(degraded)), by_stem(images_in(clean)), clean_stem, rule)
        super().__init__(pairs, border)


@dataclass(frozen=True)
class Picture:
    """A file that holds a pair side by side, and what the pair is called."""

    name: str
    file: Path
    scene: str


class SideBySidePairs:
    """Pairs stored as one picture: two halves of equal width, one clean, one degraded.

    Args:
        pictures: in order.
        left: which half is on the left, ``clean`` (Rain800) or ``degraded`` (Rain1200).

    Raises:
        UsageError: ``left`` is neither.
    """

    def __init__(self, pictures: Sequence[Picture], left: str) -> None:
        if left not in {"clean", "degraded"}:
            raise UsageError(f"left={left}: say which half is on the left, clean or degraded.")
        self.pictures = pictures
        self.left = left

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Sample:
        """Read one picture and cut it in two.

        Raises:
            DataError: the file is broken or its width is odd.
        """
        picture = read_image(self.pictures[index].file)
        if problem := self._odd(index, picture.shape[1]):
            raise DataError(problem)
        halves = [np.ascontiguousarray(half) for half in np.split(picture, 2, axis=1)]
        clean, degraded = halves if self.left == "clean" else reversed(halves)
        return Sample(self.name(index), clean, degraded)

    def name(self, index: int) -> str:
        """Of the pair, unique in the source."""
        return self.pictures[index].name

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of one half, from the file's header."""
        height, width = image_size(self.pictures[index].file)
        return height, width // 2

    def scene(self, index: int) -> str:
        """What the pictures of one clean image share, as far as the names tell."""
        return self.pictures[index].scene

    def files(self, index: int) -> list[Path]:
        """The one file."""
        return [self.pictures[index].file]

    def check(self) -> None:
        """Read all headers.

        Raises:
            UsageError: names the first file that is unreadable or of odd width.
        """
        refuse_problems([self._problem(index) for index in range(len(self))])

    def _problem(self, index: int) -> str | None:
        file = self.pictures[index].file
        try:
            return self._odd(index, image_size(file)[1])
        except DataError as error:
            return str(error)

    def _odd(self, index: int, width: int) -> str | None:
        if width % 2 == 0:
            return None
        file = self.pictures[index].file
        return f"{file}: {width} pixels wide cannot be two halves of equal width."


class SideBySideFolder(SideBySidePairs):
    """All pictures of a folder as pairs of halves; each is a scene of its own.

    Args:
        root: folder of the pictures.
        left: as for :class:`SideBySidePairs`.

    Raises:
        UsageError: the folder is missing or empty, or a name is ambiguous.
    """

    def __init__(self, root: str | os.PathLike[str], left: str) -> None:
        files = by_stem(images_in(root))
        super().__init__([Picture(stem, file, stem) for stem, file in files.items()], left)


def refuse_problems(problems: Iterable[str | None]) -> None:
    """Raise UsageError about the first problem, and count the others."""
    found = [problem for problem in problems if problem]
    if found:
        more = f" ({len(found) - 1} more such files)" if len(found) > 1 else ""
        raise UsageError(found[0] + more)
