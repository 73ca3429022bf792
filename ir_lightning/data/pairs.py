"""Pairs of degraded and clean images on disk: which files belong together, and what is in them."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ir_lightning.data.image_files import image_size, images_in, read_image
from ir_lightning.data.samples import Image, Sample
from ir_lightning.errors import DataError, UnpairedError, UsageError


@dataclass(frozen=True)
class PairFiles:
    """The degraded and the clean file of a pair, or the one that holds both (or a clean image)."""

    name: str
    files: tuple[Path, ...]
    scene: str


class FileSource:
    """Samples read from files of their own, which are opened by indexing and :meth:`check` only."""

    def __init__(self, pairs: Sequence[PairFiles]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        return self.pairs[index].name

    def size(self, index: int) -> tuple[int, int]:
        return image_size(self.pairs[index].files[0])

    def scene(self, index: int) -> str:
        return self.pairs[index].scene

    def files(self, index: int) -> list[Path]:
        return list(self.pairs[index].files)

    def check(self) -> None:
        """Raise UsageError about the first file whose header is unreadable or does not fit."""
        problems = []
        for index in range(len(self)):
            try:
                self._fit(self.files(index), [image_size(file) for file in self.files(index)])
            except DataError as error:
                problems.append(str(error))
        if problems:
            more = f" ({len(problems) - 1} more such files)" if len(problems) > 1 else ""
            raise UsageError(problems[0] + more)

    def _read(self, index: int) -> list[Image]:
        images = [read_image(file) for file in self.files(index)]
        self._fit(self.files(index), [image.shape for image in images])
        return images

    def _fit(self, files: Sequence[Path], sizes: Sequence[tuple[int, ...]]) -> None:
        """Raise DataError where files of these sizes make no pair."""


class FilePairs(FileSource):
    """Degraded and clean images in files of their own.

    The clean image may exceed the degraded one by ``border`` pixels on every side; it is then
    cropped (SOTS-indoor: 10). Nothing is ever resized.
    """

    def __init__(self, pairs: Sequence[PairFiles], border: int = 0) -> None:
        super().__init__(pairs)
        self.border = border

    def __getitem__(self, index: int) -> Sample:
        """Read one pair; raises DataError where a file is broken or the two sizes differ."""
        degraded, clean = self._read(index)
        if clean.shape != degraded.shape:
            inside = slice(self.border, -self.border)
            clean = np.ascontiguousarray(clean[inside, inside])
        return Sample(self.name(index), clean, degraded)

    def _fit(self, files: Sequence[Path], sizes: Sequence[tuple[int, ...]]) -> None:
        degraded, clean = (size[:2] for size in sizes)
        if degraded not in (clean, tuple(side - 2 * self.border for side in clean)):
            ours = f"{files[0]} is {degraded[1]} x {degraded[0]} pixels"
            theirs = f"its clean image {files[1]} is {clean[1]} x {clean[0]}"
            raise DataError(f"{ours}, but {theirs}; cut both to the same size.")


class PairedFolders(FilePairs):
    """Degraded and clean images in two folders, paired by name.

    A pair is called by its degraded file's stem (the name without extension); its scene is the
    clean file's stem, which a rule finds in it:

    - ``stem``: the same (a.jpg, a.png);
    - ``prefix``: up to the first ``_``; many degraded images may share it (1_3_0.9.png, 1.png);
    - ``regex``: the one group of ``pattern``, searched in the degraded stem (``^(.+)_rain``).

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
        expression = _compiled(rule, pattern)
        files = by_stem(images_in(degraded)), by_stem(images_in(clean))
        found = {stem: expression.search(stem) for stem in files[0]}
        stems = {stem: match[1] for stem, match in found.items() if match}
        super().__init__(pair_up(*files, stems.get, rule), border)


class SideBySidePairs(FileSource):
    """Pairs stored as one picture: two halves of equal width, one clean, one degraded.

    Raises:
        UsageError: ``left``, the half on the left, is neither ``clean`` nor ``degraded``.
    """

    def __init__(self, pictures: Sequence[PairFiles], left: str) -> None:
        if left not in {"clean", "degraded"}:
            raise UsageError(f"left={left}: say which half is on the left, clean or degraded.")
        super().__init__(pictures)
        self.left = left

    def __getitem__(self, index: int) -> Sample:
        """Cut one picture in two; raises DataError where it is broken or its width is odd."""
        (picture,) = self._read(index)
        halves = [np.ascontiguousarray(half) for half in np.split(picture, 2, axis=1)]
        clean, degraded = halves if self.left == "clean" else reversed(halves)
        return Sample(self.name(index), clean, degraded)

    def size(self, index: int) -> tuple[int, int]:
        height, width = super().size(index)
        return height, width // 2

    def _fit(self, files: Sequence[Path], sizes: Sequence[tuple[int, ...]]) -> None:
        width = sizes[0][1]
        if width % 2:
            raise DataError(f"{files[0]}: {width} pixels wide cannot be two halves of equal width.")


class SideBySideFolder(SideBySidePairs):
    """All pictures of a folder as pairs of halves; each is a scene of its own.

    Raises:
        UsageError: the folder is missing or empty, or a name is ambiguous.
    """

    def __init__(self, root: str | os.PathLike[str], left: str) -> None:
        super().__init__(pictures_in(root), left)


def pictures_in(root: str | os.PathLike[str]) -> list[PairFiles]:
    """The images of a folder, one file and one scene each."""
    return [PairFiles(stem, (file,), stem) for stem, file in by_stem(images_in(root)).items()]


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Files by their names without extension; raises UsageError where two have the same."""
    known: dict[str, Path] = {}
    for file in files:
        other = known.setdefault(file.stem, file)
        if other is not file:
            name = file.name if other.parent == file.parent else str(file)
            raise UsageError(
                f"{other} and {name} differ only in their extension; keep one of them."
            )
    return known


def pair_up(
    degraded: Mapping[str, Path],
    clean: Mapping[str, Path],
    clean_key: Callable[[str], str | None],
    rule: str,
    spare_clean: bool = False,
) -> list[PairFiles]:
    """Find each degraded file's clean one, by name: ``clean_key`` gives it, or None.

    With ``spare_clean``, a clean file may be without a degraded one.

    Raises:
        UnpairedError: names and counts the files without a partner, and the ``rule``.
    """
    partner = {stem: key for stem in degraded if (key := clean_key(stem)) in clean}
    used = set(partner.values())
    lonely = [file for stem, file in degraded.items() if stem not in partner]
    unused = [] if spare_clean else [file for stem, file in clean.items() if stem not in used]
    folders = [next(iter(files.values())).parent for files in (clean, degraded)]
    refuse_unpaired(lonely, folders[0], f"clean image by the rule '{rule}'", lonely + unused)
    refuse_unpaired(unused, folders[1], f"degraded image by the rule '{rule}'", unused)
    return [PairFiles(s, (degraded[s], clean[key]), key) for s, key in partner.items() if key]


def refuse_unpaired(
    files: Sequence[Path], partners: Path, what: str, unpaired: Sequence[Path]
) -> None:
    """Raise UnpairedError about ``files``, if there are any."""
    if files:
        names = ", ".join(str(file) for file in files[:3]) + (", ..." if len(files) > 3 else "")
        advice = "choose another rule, or complete or thin out the folders."
        sentence = f"{len(files)} unpaired: {names} has no {what} in {partners}; {advice}"
        raise UnpairedError(sentence, unpaired)


def _compiled(rule: str, pattern: str | None) -> re.Pattern[str]:
    """The expression whose one group, found in a degraded stem, is the clean stem."""
    patterns = {"stem": r"^(.+)$", "prefix": r"^([^_]+)", "regex": pattern}
    if rule not in patterns:
        raise UsageError(f"rule={rule}: unknown pairing rule; choose {', '.join(patterns)}.")
    if (pattern is not None) != (rule == "regex"):
        raise UsageError(f"rule={rule}, pattern={pattern}: regex, and only regex, has a pattern.")
    try:
        compiled = re.compile(patterns[rule] or "")
    except re.error as error:
        raise UsageError(f"pattern={pattern}: no valid regular expression ({error}).") from None
    if compiled.groups != 1:
        wanted = "exactly one must enclose the clean stem (other parentheses are written '(?:...)')"
        raise UsageError(f"pattern={pattern}: {compiled.groups} groups; {wanted}.")
    return compiled
