"""Images that occur more than once, inside the training set, inside the test set, or in both."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_lightning.data.samples import Image
from ir_lightning.errors import DataError
from ir_lightning.files import file_hash

SIDE = 32
BITS_APART = 10
CORRELATION = 0.98
BLOCK = 256  # rows of the distance matrix, and thousands of thumbnails, held at a time


@dataclass(frozen=True, eq=False)
class PerceptualHash:
    """How an image looks from far away.

    On the clean halves of Rain800, pairs of one photograph correlate above 0.99 with at most 10
    bits between them, pairs of different ones stay below 0.96 with at least 20 bits. A crop, a
    rotation or a mirror image is not recognised.
    """

    bits: int  # which low frequencies of the thumbnail exceed their median, 64 of them
    thumbnail: NDArray[np.float32]  # (32 * 32,) grey values, zero mean, length 1 (or 0)


def perceptual_hash(image: Image) -> PerceptualHash:
    """Blur an (H, W, 3) image to 32 x 32 grey values and hash its 8 x 8 lowest frequencies."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    frequencies = cv2.dct(grey)[:8, :8].ravel()
    frequencies[0] = np.median(frequencies[1:])  # brightness says nothing
    bits = int.from_bytes(np.packbits(frequencies > frequencies[0]).tobytes(), "big")
    values = grey.ravel() - grey.mean()
    return PerceptualHash(bits, values / max(np.linalg.norm(values), 1e-6))


def near(looks: Sequence[PerceptualHash]) -> Iterator[tuple[int, int]]:
    """All (i, j), i < j, of images that look alike: 14,000 of them are compared in seconds."""
    if not looks:
        return
    bits = np.array([each.bits for each in looks], dtype=np.uint64)
    thumbnails = np.stack([each.thumbnail for each in looks])
    for start in range(0, len(bits), BLOCK):
        apart = np.bitwise_count(bits[start : start + BLOCK, None] ^ bits[None, start:])
        rows, columns = np.nonzero(apart <= BITS_APART)
        later = columns > rows
        first, second = rows[later] + start, columns[later] + start
        for part in range(0, len(first), 10 * BLOCK):
            i, j = first[part : part + 10 * BLOCK], second[part : part + 10 * BLOCK]
            alike = np.einsum("nk,nk->n", thumbnails[i], thumbnails[j]) >= CORRELATION
            yield from zip(i[alike].tolist(), j[alike].tolist(), strict=True)


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """``range(count)`` in groups that the pairs tie together, in order of their first items."""
    group_of = [[item] for item in range(count)]
    for first, second in pairs:
        if group_of[first] is not group_of[second]:
            small, large = sorted((group_of[first], group_of[second]), key=len)
            large += small
            for item in small:
                group_of[item] = large
    return sorted(map(sorted, {id(group): group for group in group_of}.values()))


def first_of_identical(files: Sequence[Path]) -> list[Path]:
    """For every file, the first with the same bytes; raises DataError where one is unreadable."""
    try:
        sizes = [file.stat().st_size for file in files]
        alike = Counter(sizes)  # only files of the same size are read
        first: dict[object, Path] = {}
        return [
            first.setdefault((size, file_hash(file)), file) if alike[size] > 1 else file
            for file, size in zip(files, sizes, strict=True)
        ]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}).") from None


@dataclass(frozen=True, eq=False)
class Reading:
    """What is kept of a sample that was read; ``degraded`` and ``clean`` are digests."""

    split: str
    name: str
    scene: str
    files: list[Path]
    degraded: str | None
    clean: str
    perceptual_hash: PerceptualHash

    @property
    def side(self) -> str:
        """``training`` (validation is cut from it) or ``test``."""
        return "test" if self.split == "test" else "training"


@dataclass(frozen=True)
class Member:
    """One of several that are the same."""

    split: str
    name: str
    files: list[str]


@dataclass(frozen=True)
class DuplicateGroup:
    """What is the same (``bytes``, ``pixels``, ``look``) in ``training``, ``test`` or ``both``."""

    where: str
    same: str
    members: list[Member]


def repeated_files(readings: Sequence[Reading], hashes: Mapping[Path, str]) -> list[DuplicateGroup]:
    """Files with the same bytes under different names.

    Copies of a clean image beside its several degraded ones are no finding: RESIDE-IN stores 500.
    """
    users: dict[str, dict[Path, Reading]] = defaultdict(dict)
    for reading in readings:
        for file in reading.files:
            users[hashes[file]].setdefault(file, reading)
    groups = []
    for files in users.values():
        scenes = {(each.side, each.scene) for each in files.values()}
        versions = {each.degraded for each in files.values()}
        if len(files) > 1 and (len(scenes) > 1 or len(versions) < len(files)):
            groups.append(_group("bytes", [(each, [file]) for file, each in files.items()]))
    return groups


def repeated_clean(readings: Sequence[Reading], hashes: Mapping[Path, str]) -> list[DuplicateGroup]:
    """Scenes that share a clean image, beyond what :func:`repeated_files` tells of already."""
    by_digest: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        by_digest[reading.clean].append(reading)
    distinct = list(by_digest.values())
    groups = []
    for alike in connected(len(distinct), near([same[0].perceptual_hash for same in distinct])):
        readers = [reading for index in alike for reading in distinct[index]]
        if _several(readers, hashes):
            same = "pixels" if len(alike) == 1 else "look"
            groups.append(_group(same, [(each, each.files) for each in readers]))
    order = {(reading.split, reading.name): place for place, reading in enumerate(readings)}
    return sorted(groups, key=lambda group: order[group.members[0].split, group.members[0].name])


def _several(readers: Sequence[Reading], hashes: Mapping[Path, str]) -> bool:
    """Whether more is the same than the scenes' keys and the files' bytes explain."""
    explained: list[tuple[int, int]] = []
    first: dict[object, int] = {}
    for i, each in enumerate(readers):
        scene = ("scene", each.side, each.scene)
        content = tuple(hashes[file] for file in each.files) or each.name
        explained += [(first.setdefault(key, i), i) for key in (scene, content)]
    return len(connected(len(readers), explained)) > 1


def _group(same: str, files_of: Sequence[tuple[Reading, list[Path]]]) -> DuplicateGroup:
    sides = {each.side for each, _ in files_of}
    members = [Member(each.split, each.name, list(map(str, files))) for each, files in files_of]
    return DuplicateGroup(sides.pop() if len(sides) == 1 else "both", same, members)
