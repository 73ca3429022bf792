"""Sources made of other sources: one after the other, mixed by weight, or a part of one."""

import hashlib
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, zip_longest
from pathlib import Path

from ir_lightning.arguments import check_whole
from ir_lightning.data.samples import Checked, Sample, Source, files_of
from ir_lightning.errors import UsageError


class DerivedSource(ABC):
    """A source whose samples are those of other sources."""

    @abstractmethod
    def _locate(self, index: int) -> tuple[Source, int]:
        """The source that a sample comes from, and its index there."""

    @abstractmethod
    def __len__(self) -> int: ...

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
        """The files in the sample's own source; none if that does not say."""
        return files_of(*self._locate(index))

    def check(self) -> None:
        """Check the sources that can be checked, as if each stood alone."""
        sources = {id(source): source for source, _ in map(self._locate, range(len(self)))}
        for source in sources.values():
            if isinstance(source, Checked):
                source.check()


class Concat(DerivedSource):
    """The samples of the first source, then those of the second, and so on.

    The sources have names, so that a configuration can change or drop a single one.

    Raises:
        UsageError: two samples have the same name.
    """

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = list(sources.values())
        self.ends = list(accumulate(len(source) for source in self.sources))
        owners: dict[str, str] = {}
        for key, source in sources.items():
            for name in map(source.name, range(len(source))):
                if name in owners:
                    raise UsageError(
                        f"Two samples are called '{name}', one of sources.{owners[name]} and one "
                        f"of sources.{key}; drop one of them."
                    )
                owners[name] = key

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def _locate(self, index: int) -> tuple[Source, int]:
        part, local = _part(self.ends, index)
        return self.sources[part], local


class InterleavedSource(DerivedSource):
    """Every sample of every source, once: the first of each source, the second of each, ...

    So the first few are spread over the sources as evenly as can be. Samples and scenes are called
    ``<data set>/<name>``: by whose model they are degraded, to whose scores they count.
    """

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = sources
        places = [(key, i) for key, source in sources.items() for i in range(len(source))]
        self.places = sorted(places, key=lambda place: place[1])

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), name=self.name(index))

    def place(self, index: int) -> tuple[str, int]:
        """The data set that a sample comes from, and its index there."""
        return self.places[index]

    def name(self, index: int) -> str:
        return f"{self.place(index)[0]}/{super().name(index)}"

    def scene(self, index: int) -> str:
        return f"{self.place(index)[0]}/{super().scene(index)}"

    def _locate(self, index: int) -> tuple[Source, int]:
        key, local = self.place(index)
        return self.sources[key], local


class Mixture(InterleavedSource):
    """Sources in proportion to their weights, in any unit.

    An epoch is as long as it takes to show every image at least once in these proportions; the
    images of a source that is too small for its weight are shown several times, evenly, and then
    called ``name#2``, ``name#3``. Each time they are cropped and degraded anew.

    Raises:
        UsageError: names differ, a source is empty, or a weight is not positive.
    """

    def __init__(self, sources: Mapping[str, Source], weights: Mapping[str, float]) -> None:
        super().__init__({key: sources[key] for key in weights if key in sources})
        if set(sources) != set(weights):
            both = f"{', '.join(weights)}, but the data sets are {', '.join(sources)}"
            raise UsageError(f"Weights are given for {both}; name the same ones.")
        for key, weight in weights.items():
            count = len(sources[key])
            if not (type(weight) in (int, float) and 0 < weight < math.inf and count):
                both = f"weights.{key}={weight} for {count} training images"
                raise UsageError(f"{both}: give both more than 0, or drop the data set.")
        unit = max(len(sources[key]) / weight for key, weight in weights.items())
        self.keys = list(weights)
        self.ends = list(accumulate(math.ceil(unit * weights[key] - 1e-9) for key in self.keys))

    def __len__(self) -> int:
        return self.ends[-1]

    def place(self, index: int) -> tuple[str, int]:
        part, position = _part(self.ends, index)
        return self.keys[part], position % len(self.sources[self.keys[part]])

    def name(self, index: int) -> str:
        """``<data set>/<name in its source>``, with ``#2`` when it stands there again."""
        part, position = _part(self.ends, index)
        again = position // len(self.sources[self.keys[part]]) + 1
        return super().name(index) + (f"#{again}" if again > 1 else "")


@dataclass(eq=False, repr=False)
class Subset(DerivedSource):
    """Some samples of a source: those of the ``indices``, in their order."""

    source: Source
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def _locate(self, index: int) -> tuple[Source, int]:
        return self.source, self.indices[index]


class SceneSplit(Subset):
    """The training or the validation part of a source, cut between scenes.

    Which scenes are held out depends on their keys and ``seed`` alone, so both parts can be built
    independently and agree.

    Args:
        part: ``train`` or ``validation``.
        fraction: share of the scenes held out for validation, in (0, 1).
        seed: another seed holds out other scenes.

    Raises:
        UsageError: an unknown part, an impossible fraction or seed, or fewer than two scenes.
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
        size = f"A training set of {len(different)} scene"
        raise UsageError(f"{size} cannot be cut in two; name a validation source.")
    count = min(max(1, round(fraction * len(different))), len(different) - 1)
    digests = {hashlib.sha256(f"{seed}:{key}".encode()).digest(): key for key in different}
    return {digests[digest] for digest in sorted(digests)[:count]}


def scenes_first(source: Source) -> list[int]:
    """All indices of a source: an image of every scene, then another of every scene that has one.

    Scenes come in the order of their first images. The k-th one begins with its k-th image and goes
    round: where the images of each scene stand in one order (by light, by angle of rain), the
    first of all scenes would be of one kind.
    """
    images_of: dict[str, list[int]] = {}
    for index in range(len(source)):
        images_of.setdefault(source.scene(index), []).append(index)
    turned = [
        images[k % len(images) :] + images[: k % len(images)]
        for k, images in enumerate(images_of.values())
    ]
    return [i for round_ in zip_longest(*turned) for i in round_ if i is not None]


def scored_images(source: Source, limit: int | None, order: str | None) -> Sequence[int]:
    """Which images of a source are scored, at most ``limit``, in its order.

    The first ones, or, with ``order="scenes"``, those that :func:`scenes_first` begins with.
    """
    count = len(source)
    if limit is None or limit >= count:
        return range(count)
    if order is None:
        return range(limit)
    return sorted(scenes_first(source)[:limit])


def large_enough(source: Source, crop: int) -> Subset:
    """The samples that a crop of ``crop`` x ``crop`` pixels fits into, by their headers."""
    return Subset(source, [i for i in range(len(source)) if min(source.size(i)) >= crop])


def _part(ends: Sequence[int], index: int) -> tuple[int, int]:
    """Which of the parts that end at ``ends`` an index lies in, and where in it."""
    if not (ends and 0 <= index < ends[-1]):
        raise IndexError(index)
    part = bisect_right(ends, index)
    return part, index - (ends[part - 1] if part else 0)
