"""Several data sets in one training, each with its weight, and judged one by one.

Samples are called ``<data set>/<name>``, which says by whose composition model they are degraded
and to whose scores they count.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from ir_lightning.data.source import Checked, Sample, Source, files_of
from ir_lightning.errors import UsageError

Place = tuple[str, int]
"""Which source, and which sample of it."""


class Together:
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


class Mixture(Together):
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
            if not (weight > 0 and math.isfinite(weight)) or not len(sources[key]):
                raise UsageError(
                    f"{key} has weight {weight} and {len(sources[key])} training images; "
                    "give both more than 0, or drop the data set."
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
