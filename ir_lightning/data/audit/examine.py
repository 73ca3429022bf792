"""Read every image of a data set as training would, and say what is wrong with it."""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ir_lightning.data.audit import duplicates
from ir_lightning.data.audit.duplicates import DuplicateGroup, Reading
from ir_lightning.data.cache.store import digest
from ir_lightning.data.image_files import FORMATS, image_size, read_image
from ir_lightning.data.samples import Source, files_of
from ir_lightning.errors import DataError, UnpairedError
from ir_lightning.files import file_hash

SCHEMA = 1
KINDS = ("unpaired", "unreadable", "truncated", "size", "refused")  # the last by the reader
Watch = Callable[[Iterable[Any], int], Iterable[Any]]  # (items, count): passes the items on


@dataclass(frozen=True)
class Broken:
    """Something that training would stumble over, of one of the :data:`KINDS`."""

    kind: str
    split: str
    files: list[str]
    message: str


@dataclass(frozen=True)
class Report:
    """What :func:`examine` found.

    Numbers of pairs are those of ``training`` (with those held out for validation) and ``test``;
    None where they are unknown. ``files`` are byte-identical, ``clean`` are scenes that share a
    clean image beyond that.
    """

    found: dict[str, int | None]
    published: dict[str, int | None]
    held_out: int | None
    broken: list[Broken]
    files: list[DuplicateGroup]
    clean: list[DuplicateGroup]

    @property
    def different(self) -> list[str]:
        """The splits whose number of pairs is known and not the published one."""
        published = self.published
        return [k for k, n in self.found.items() if n is not None and published[k] not in (None, n)]

    @property
    def status(self) -> str:
        """``broken``, ``warnings`` or ``clean``."""
        if self.broken:
            return "broken"
        return "warnings" if self.different or self.files or self.clean else "clean"

    def as_json(self) -> dict[str, Any]:
        """Everything, in plain values."""
        published = self.published
        return {
            "schema": SCHEMA,
            "status": self.status,
            "counts": {k: {"found": n, "published": published[k]} for k, n in self.found.items()},
            "held_out_for_validation": self.held_out,
            "broken": [asdict(each) for each in self.broken],
            "byte_identical_files": [asdict(group) for group in self.files],
            "shared_clean_images": [asdict(group) for group in self.clean],
        }


def examine(
    splits: Mapping[str, Source | Exception],
    published: Mapping[str, int | None],
    watch: Watch = lambda items, _: items,
) -> Report:
    """Decode and compare all images of the splits: sources, or the errors of their readers."""
    broken = [_refusal(name, e) for name, e in splits.items() if isinstance(e, Exception)]
    sources = {name: each for name, each in splits.items() if not isinstance(each, Exception)}
    jobs = [(name, index) for name, source in sources.items() for index in range(len(source))]
    readings: list[Reading] = []
    pool = ThreadPoolExecutor(os.cpu_count())  # decoding and hashing let go of Python's lock
    try:
        results = pool.map(lambda job: _read(job[0], sources[job[0]], job[1]), jobs)
        for result in watch(results, len(jobs)):
            if isinstance(result, Reading):
                readings.append(result)
            else:
                broken += result
        paths = sorted({file for reading in readings for file in reading.files})
        bytes_of = dict(zip(paths, pool.map(file_hash, paths), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
    return Report(
        found={"training": _pairs(sources, "train", "validation"), "test": _pairs(sources, "test")},
        published={side: published.get(side) for side in ("training", "test")},
        held_out=_pairs(sources, "validation"),
        broken=list({(each.kind, each.message): each for each in broken}.values()),
        files=duplicates.repeated_files(readings, bytes_of),
        clean=duplicates.repeated_clean(readings, bytes_of),
    )


def is_on_disk(splits: Mapping[str, Source | Exception]) -> bool:
    """Whether any split is read from files, or would be if it could be built."""
    sources = splits.values()
    return any(isinstance(s, Exception) or (len(s) and files_of(s, 0)) for s in sources)


def _pairs(sources: Mapping[str, Source], *names: str) -> int | None:
    present = [len(sources[name]) for name in names if name in sources]
    return sum(present) if len(present) == len(names) else None


def _refusal(split: str, error: Exception) -> Broken:
    if isinstance(error, UnpairedError):
        return Broken("unpaired", split, [str(file) for file in error.files], str(error))
    return Broken("refused", split, [], str(error))


def _read(split: str, source: Source, index: int) -> Reading | list[Broken]:
    files = files_of(source, index)
    try:
        sample = source[index]
    except DataError as error:
        return _broken(split, files, error)
    degraded = None if sample.degraded is None else digest(sample.degraded)
    looks = (degraded, digest(sample.clean), duplicates.perceptual_hash(sample.clean))
    return Reading(split, source.name(index), source.scene(index), files, *looks)


def _broken(split: str, files: list[Path], error: DataError) -> list[Broken]:
    """Every broken file of a pair, or the pair itself when each file can be read."""
    names = [str(file) for file in files]
    if any(file.suffix.lower() not in FORMATS for file in files) or not files:
        return [Broken("unreadable", split, names, str(error))]
    problems = []
    for file in files:
        kind = "unreadable"
        try:
            image_size(file)
            kind = "truncated"
            read_image(file)
        except DataError as problem:
            problems.append(Broken(kind, split, [str(file)], str(problem)))
    return problems or [Broken("size", split, names, str(error))]
