"""Sources made of other sources: one after the other, mixed by weight, or a part of one.

In a mixture, samples are called ``<data set>/<name>``, which says by whose degradation model they
are degraded and to whose scores they count.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from ir_lightning.arguments import check_whole
from ir_lightning.data.samples import Checked, Sample, Source, files_of
from ir_lightning.errors import UsageError


class Concat:
    """The samples of the first source, then those of the second, and so on.

    Args:
        sources: the sources under names of the reader's choice; a configuration can so change or
            drop a single one.

    Raises:
        UsageError: two samples have the same name.
    """

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = list(sources.values())
        self.ends = list(accumulate(len(source) for source in self.sources))
        owners: dict[str, str] = {}
        for key, source in sources.items():
            for index in range(len(source)):
                name = source.name(index)
                if name in owners:
                    raise UsageError(
                        f"Two samples are called '{name}', one of sources.{owners[name]} and one "
                        f"of sources.{key}; drop one of them."
                    )
                owners[name] = key

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, index: int) -> Sample:
        source, local = self._locate(index)
        return source[local]

    def name(self, index: int) -> str:
        source, local = self._locate(index)
        return source.name(local)

    def size(self, index: int) -> tuple[int, int]:
        source, local = self._locate(index)
        return source.size(local)

    def scene(self, index: int) -> str:
        source, local = self._locate(index)
        return source.scene(local)

    def files(self, index: int) -> list[Path]:
        source, local = self._locate(index)
        return files_of(source, local)

    def check(self) -> None:
        """Check the sources that can be checked, as if each stood alone."""
        for source in self.sources:
            if hasattr(source, "check"):
                source.check()

    def _locate(self, index: int) -> tuple[Source, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = bisect_right(self.ends, index)
        return self.sources[part], index - (self.ends[part - 1] if part else 0)


Place = tuple[str, int]
"""Which source, and which sample of it."""


class InterleavedSource:
    """Every sample of every source, once: the first of each source, the second of each, ...

    So the first few are spread over the sources as evenly as can be.

    Args:
        sources: by the name of the data set.
    """

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = sources
        places = [(key, i) for key, source in sources.items() for i in range(len(source))]
        self.places: Sequence[Place] = sorted(places, key=lambda place: place[1])

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        key, local = self.place(index)
        return replace(self.sources[key][local], name=self.name(index))

    def place(self, index: int) -> Place:
        """Where a sample comes from."""
        return self.places[index]

    def name(self, index: int) -> str:
        """``<data set>/<name in its source>``."""
        key, local = self.place(index)
        return f"{key}/{self.sources[key].name(local)}"

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) in its source."""
        key, local = self.place(index)
        return self.sources[key].size(local)

    def scene(self, index: int) -> str:
        """``<data set>/<scene in its source>``."""
        key, local = self.place(index)
        return f"{key}/{self.sources[key].scene(local)}"

    def files(self, index: int) -> list[Path]:
        """The files in its source; none if it does not say."""
        key, local = self.place(index)
        return files_of(self.sources[key], local)

    def check(self) -> None:
        """Check the sources that can be checked, as if each stood alone."""
        for source in self.sources.values():
            if isinstance(source, Checked):
                source.check()


class Mixture(InterleavedSource):
    """Sources in proportion to their weights.

    An epoch is as long as it takes to show every image at least once in these proportions; the
    images of a source that is too small for its weight are shown several times, evenly, and then
    called ``name#2``, ``name#3``. Each time they are cropped and degraded anew.

    Args:
        sources: by the name of the data set.
        weights: share of each source in an epoch, in any unit; all positive.

    Raises:
        UsageError: names differ, a source is empty, or a weight is not positive.
    """

    def __init__(self, sources: Mapping[str, Source], weights: Mapping[str, float]) -> None:
        super().__init__({key: sources[key] for key in weights if key in sources})
        if set(sources) != set(weights):
            raise UsageError(
                f"Weights are given for {', '.join(weights)}, but the data sets are "
                f"{', '.join(sources)}; name the same ones."
            )
        for key, weight in weights.items():
            number = type(weight) in (int, float) and math.isfinite(weight)
            if not (number and weight > 0 and len(sources[key])):
                raise UsageError(
                    f"weights.{key}={weight} for {len(sources[key])} training images: give both "
                    "more than 0, or drop the data set."
                )
        unit = max(len(sources[key]) / weight for key, weight in weights.items())
        self.keys = list(weights)
        self.ends = list(accumulate(math.ceil(unit * weights[key] - 1e-9) for key in self.keys))

    def __len__(self) -> int:
        return self.ends[-1]

    def place(self, index: int) -> Place:
        """Where a sample comes from."""
        key, position = self._position(index)
        return key, position % len(self.sources[key])

    def name(self, index: int) -> str:
        """``<data set>/<name in its source>``, with ``#2`` when it stands there again."""
        key, position = self._position(index)
        again = position // len(self.sources[key]) + 1
        return super().name(index) + (f"#{again}" if again > 1 else "")

    def _position(self, index: int) -> tuple[str, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = bisect_right(self.ends, index)
        return self.keys[part], index - (self.ends[part - 1] if part else 0)


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


class SceneSplit(Subset):
    """The training or the validation part of a source, cut between scenes.

    Which scenes are held out depends on their keys and ``seed`` alone, so both parts can be built
    independently and agree. They are the scenes with the smallest hashes, at least one.

    Args:
        source: what is cut.
        part: ``train`` or ``validation``.
        fraction: share of the scenes held out for validation, in (0, 1).
        seed: another seed holds out other scenes.

    Raises:
        UsageError: an unknown part, a fraction outside (0, 1), a seed that is no whole number
            from 0, or fewer than two scenes.
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
    check_whole("seed", seed, 0)
    if type(fraction) not in (int, float) or not 0 < fraction < 1:
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
