"""Parts of a source, chosen so that everybody who chooses them chooses the same."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ir_lightning.data.source import Checked, Sample, Source, files_of
from ir_lightning.errors import UsageError


class Subset:
    """Some samples of a source.

    Args:
        source: the whole.
        indices: which samples of it, in the order wanted.
    """

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self.source = source
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.source[self.indices[index]]

    def name(self, index: int) -> str:
        """The name in the whole source."""
        return self.source.name(self.indices[index])

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) in the whole source."""
        return self.source.size(self.indices[index])

    def scene(self, index: int) -> str:
        """The scene in the whole source."""
        return self.source.scene(self.indices[index])

    def files(self, index: int) -> list[Path]:
        """What the whole source reads the sample from; nothing if it does not say."""
        return files_of(self.source, self.indices[index])

    def check(self) -> None:
        """Check the whole source, where it can be checked."""
        if isinstance(self.source, Checked):
            self.source.check()


class Part(Subset):
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
        scenes = [source.scene(index) for index in range(len(source))]
        held = held_out(scenes, fraction, seed)
        wanted = part == "validation"
        super().__init__(source, [i for i, key in enumerate(scenes) if (key in held) == wanted])


def held_out(keys: Iterable[str], fraction: float, seed: int) -> set[str]:
    """The keys with the smallest hashes: ``fraction`` of them, at least one, never all.

    Raises:
        UsageError: a fraction outside (0, 1), or fewer than two different keys.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"fraction={fraction}: the share held out lies between 0 and 1.")
    different = set(keys)
    if len(different) < 2:
        raise UsageError(
            f"A training set of {len(different)} scene cannot be cut in two; "
            "name a validation source."
        )
    count = min(max(1, round(fraction * len(different))), len(different) - 1)

    def digest(key: str) -> bytes:
        return hashlib.sha256(f"{seed}:{key}".encode()).digest()

    return set(sorted(different, key=digest)[:count])


def large_enough(source: Source, crop: int) -> Subset:
    """The samples that a crop of ``crop`` x ``crop`` pixels fits into, by their headers."""
    return Subset(source, [i for i in range(len(source)) if min(source.size(i)) >= crop])
