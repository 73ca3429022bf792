"""Images that occur more than once, inside the training set, inside the test set, or in both."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ir_lightning.data.fingerprint import Look, connected, near


@dataclass(frozen=True, eq=False)
class Reading:
    """What is kept of a sample that was read.

    Attributes:
        split: ``train``, ``validation`` or ``test``.
        name, scene: as the source gives them.
        files: that it was read from.
        degraded, clean: digests of the pixels.
        look: of the clean image.
    """

    split: str
    name: str
    scene: str
    files: list[Path]
    degraded: str | None
    clean: str
    look: Look

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
class Group:
    """What is the same.

    Attributes:
        where: ``training``, ``test`` or ``both``.
        same: ``bytes`` of files; ``pixels`` of clean images; ``look``: pixels that differ
            slightly, as after another compression.
        members: at least two.
    """

    where: str
    same: str
    members: list[Member]


def repeated_files(readings: Sequence[Reading], bytes_of: Mapping[Path, str]) -> list[Group]:
    """Files with the same bytes under different names.

    Copies of one scene's clean image beside its several degraded ones are no finding: re-packaged
    benchmarks store them so (RESIDE-IN has 500 ground-truth files of 50 images).
    """
    users: dict[str, dict[Path, Reading]] = defaultdict(dict)
    for reading in readings:
        for file in reading.files:
            users[bytes_of[file]].setdefault(file, reading)
    groups = []
    for files in users.values():
        readers = list(files.values())
        if len(files) > 1 and not _one_scene_degraded_differently(readers):
            members = [
                Member(reading.split, reading.name, [str(file)]) for file, reading in files.items()
            ]
            groups.append(Group(_where(readers), "bytes", members))
    return groups


def repeated_clean(readings: Sequence[Reading], bytes_of: Mapping[Path, str]) -> list[Group]:
    """Scenes that share a clean image, although the source takes them for different scenes.

    Left out are pairs that :func:`repeated_files` tells of already.
    """
    by_digest: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        by_digest[reading.clean].append(reading)
    distinct = list(by_digest.values())
    alike = connected(len(distinct), near([same[0].look for same in distinct]))
    groups = [[reading for index in group for reading in distinct[index]] for group in alike]
    found = [
        Group(
            _where(readers),
            "pixels" if len({each.clean for each in readers}) == 1 else "look",
            [Member(each.split, each.name, [str(file) for file in each.files]) for each in readers],
        )
        for readers in groups
        if _several(readers, bytes_of)
    ]
    order = {(reading.split, reading.name): place for place, reading in enumerate(readings)}
    return sorted(found, key=lambda group: order[group.members[0].split, group.members[0].name])


def _several(readers: Sequence[Reading], bytes_of: Mapping[Path, str]) -> bool:
    """Whether more is the same than the scenes' keys and the files' bytes explain."""
    explained: list[tuple[int, int]] = []
    for keys in (
        [(each.side, each.scene) for each in readers],
        [tuple(bytes_of[file] for file in each.files) or each.name for each in readers],
    ):
        first: dict[object, int] = {}
        explained += [(first.setdefault(key, i), i) for i, key in enumerate(keys)]
    return len(connected(len(readers), explained)) > 1


def _one_scene_degraded_differently(readers: Sequence[Reading]) -> bool:
    scenes = {(each.side, each.scene) for each in readers}
    return len(scenes) == 1 and len({each.degraded for each in readers}) == len(readers)


def _where(readers: Iterable[Reading]) -> str:
    sides = {each.side for each in readers}
    return sides.pop() if len(sides) == 1 else "both"
