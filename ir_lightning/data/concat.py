"""Several sources as one."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

from ir_lightning.data.source import Sample, Source, files_of
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
