"""Pairs of degraded and clean images that lie on disk, and the split of a source into two parts."""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from ir_lightning.data.images import image_size, list_images, read_image
from ir_lightning.data.source import Sample, Source
from ir_lightning.errors import DataError, UsageError


@runtime_checkable
class Checked(Protocol):
    """A source that can look at its files before anything is trained on them."""

    def check(self) -> None:
        """Read every header; raises UsageError that names the first bad file and counts them."""
        ...


class PairedFolders:
    """Degraded and clean images in two folders, paired by name.

    A rule finds the clean file's stem (its name without extension) in the degraded file's stem:

    ======== ================================================================ =====================
    rule     clean stem                                                       example
    ======== ================================================================ =====================
    stem     the same                                                         a.jpg -> a.png
    prefix   up to the first ``_``; many degraded images may share a clean one 1_3_0.9.png -> 1.png
    regex    the one group of ``pattern``, searched in the degraded stem      ``^(.+)_rain``
    ======== ================================================================ =====================

    Only the folders are listed here; files are opened by :meth:`check` and by indexing.

    Args:
        degraded: folder of the degraded images.
        clean: folder of the clean images.
        rule: ``stem``, ``prefix`` or ``regex``.
        pattern: the regular expression of the rule ``regex``, with exactly one group.

    Raises:
        UsageError: a folder is missing or empty, a name is ambiguous, or an image has no partner.
    """

    def __init__(
        self,
        degraded: str | os.PathLike[str],
        clean: str | os.PathLike[str],
        rule: str = "stem",
        pattern: str | None = None,
    ) -> None:
        clean_stem = _compiled(rule, pattern)
        degraded_files, clean_files = _by_stem(degraded), _by_stem(clean)
        partners = {stem: clean_stem.search(stem) for stem in degraded_files}
        partner = {stem: found[1] for stem, found in partners.items() if found}
        lonely = [f for s, f in degraded_files.items() if partner.get(s) not in clean_files]
        unused = [f for s, f in clean_files.items() if s not in set(partner.values())]
        _refuse_unpaired(lonely, Path(clean), f"clean image by the rule '{rule}'")
        _refuse_unpaired(unused, Path(degraded), f"degraded image by the rule '{rule}'")
        self._degraded = list(degraded_files.values())
        self._clean = [clean_files[partner[stem]] for stem in degraded_files]

    def __len__(self) -> int:
        return len(self._degraded)

    def __getitem__(self, index: int) -> Sample:
        """Read one pair.

        Raises:
            DataError: a file is broken, or the two sizes differ.
        """
        degraded, clean = read_image(self._degraded[index]), read_image(self._clean[index])
        if degraded.shape != clean.shape:
            raise DataError(self._difference(index, degraded.shape[:2], clean.shape[:2]))
        return Sample(self.name(index), clean, degraded)

    def name(self, index: int) -> str:
        """The degraded file's stem."""
        return self._degraded[index].stem

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the degraded image, from its header."""
        return image_size(self._degraded[index])

    def scene(self, index: int) -> str:
        """The clean file's stem: all degraded versions of one clean image are one scene."""
        return self._clean[index].stem

    def check(self) -> None:
        """Compare the sizes in all headers.

        Raises:
            UsageError: names the first file that is unreadable or differs from its partner.
        """
        _refuse_problems([self._problem(index) for index in range(len(self))])

    def _problem(self, index: int) -> str | None:
        try:
            degraded, clean = image_size(self._degraded[index]), image_size(self._clean[index])
        except DataError as error:
            return str(error)
        return None if degraded == clean else self._difference(index, degraded, clean)

    def _difference(self, index: int, degraded: tuple[int, ...], clean: tuple[int, ...]) -> str:
        return (
            f"{self._degraded[index]} is {degraded[1]} x {degraded[0]} pixels, but its clean image "
            f"{self._clean[index]} is {clean[1]} x {clean[0]}; cut both to the same size."
        )


class SideBySide:
    """Pairs stored as one picture: two halves of equal width, one clean, one degraded.

    Args:
        root: folder of the pictures.
        left: which half is on the left, ``clean`` (Rain800) or ``degraded`` (Rain1200).

    Raises:
        UsageError: ``left`` is neither, the folder is missing or empty, or a name is ambiguous.
    """

    def __init__(self, root: str | os.PathLike[str], left: str) -> None:
        if left not in {"clean", "degraded"}:
            raise UsageError(f"left={left}: say which half is on the left, clean or degraded.")
        self._files = list(_by_stem(root).values())
        self._left = left

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        """Read one picture and cut it in two.

        Raises:
            DataError: the file is broken or its width is odd.
        """
        picture = read_image(self._files[index])
        if problem := self._odd(index, picture.shape[1]):
            raise DataError(problem)
        halves = [np.ascontiguousarray(half) for half in np.split(picture, 2, axis=1)]
        clean, degraded = halves if self._left == "clean" else reversed(halves)
        return Sample(self.name(index), clean, degraded)

    def name(self, index: int) -> str:
        """The file's stem."""
        return self._files[index].stem

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of one half, from the file's header."""
        height, width = image_size(self._files[index])
        return height, width // 2

    def scene(self, index: int) -> str:
        """The file's stem: nothing but the file says which pictures show one scene."""
        return self._files[index].stem

    def check(self) -> None:
        """Read all headers.

        Raises:
            UsageError: names the first file that is unreadable or of odd width.
        """
        _refuse_problems([self._problem(index) for index in range(len(self))])

    def _problem(self, index: int) -> str | None:
        try:
            return self._odd(index, image_size(self._files[index])[1])
        except DataError as error:
            return str(error)

    def _odd(self, index: int, width: int) -> str | None:
        if width % 2 == 0:
            return None
        return f"{self._files[index]}: {width} pixels wide cannot be two halves of equal width."


class Part:
    """The training or the validation part of a source, cut between scenes.

    Which scenes are held out depends on their keys and ``seed`` alone, so both parts can be built
    independently and agree. They are the scenes with the smallest hashes, at least one.

    Args:
        source: what is cut.
        part: ``train`` or ``validation``.
        fraction: share of the scenes held out for validation, in (0, 1).
        seed: another seed holds out other scenes.

    Raises:
        UsageError: an unknown part, a fraction outside (0, 1), or fewer than two scenes.
    """

    def __init__(self, source: Source, part: str, fraction: float = 0.05, seed: int = 0) -> None:
        if part not in {"train", "validation"}:
            raise UsageError(f"part={part}: choose train or validation.")
        if not 0 < fraction < 1:
            raise UsageError(f"fraction={fraction}: the validation share lies between 0 and 1.")
        scenes = [source.scene(index) for index in range(len(source))]
        held_out = _held_out(set(scenes), fraction, seed)
        wanted = part == "validation"
        self._source = source
        self._indices = [i for i, scene in enumerate(scenes) if (scene in held_out) == wanted]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self._source[self._indices[index]]

    def name(self, index: int) -> str:
        """The name in the whole source."""
        return self._source.name(self._indices[index])

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) in the whole source."""
        return self._source.size(self._indices[index])

    def scene(self, index: int) -> str:
        """The scene in the whole source."""
        return self._source.scene(self._indices[index])

    def check(self) -> None:
        """Check the whole source, where it can be checked."""
        if isinstance(self._source, Checked):
            self._source.check()


def _held_out(scenes: set[str], fraction: float, seed: int) -> set[str]:
    if len(scenes) < 2:
        raise UsageError(
            f"A training set of {len(scenes)} scene cannot be cut in two; name a validation source."
        )
    count = min(max(1, round(fraction * len(scenes))), len(scenes) - 1)

    def digest(scene: str) -> bytes:
        return hashlib.sha256(f"{seed}:{scene}".encode()).digest()

    return set(sorted(scenes, key=digest)[:count])


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
        raise UsageError(
            f"pattern={pattern}: {compiled.groups} groups; exactly one must enclose the clean "
            "stem (other parentheses are written '(?:...)')."
        )
    return compiled


def _by_stem(folder: str | os.PathLike[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in list_images(folder):
        other = files.setdefault(file.stem, file)
        if other is not file:
            raise UsageError(
                f"{other} and {file.name} differ only in their extension; keep one of them."
            )
    return files


def _refuse_unpaired(files: Sequence[Path], partners: Path, what: str) -> None:
    if files:
        names = ", ".join(str(file) for file in files[:3]) + (", ..." if len(files) > 3 else "")
        raise UsageError(
            f"{len(files)} unpaired: {names} has no {what} in {partners}; "
            "choose another rule, or complete or thin out the folders."
        )


def _refuse_problems(problems: Iterable[str | None]) -> None:
    found = [problem for problem in problems if problem]
    if found:
        more = f" ({len(found) - 1} more such files)" if len(found) > 1 else ""
        raise UsageError(found[0] + more)
