"""Making stores: how much there is to store, and then sample by sample, many processes at once."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from ir_lightning.data.cache.shard import Shard
from ir_lightning.data.cache.store import (
    MANIFEST,
    SEEN,
    VERSION,
    content_key,
    find,
    images_of,
    map_sources,
    quick_key,
    stamp,
    stamps_of,
)
from ir_lightning.data.samples import Sample, Source, files_of
from ir_lightning.errors import DataError, UsageError
from ir_lightning.files import file_hash, write_json

SHARD = 512 * 2**20
"""Bytes, about: what one process works on at a time. 240 of them hold RainCityscapes."""

WAIT = 0.2  # seconds until a shard that another process is at is looked at again


class Preparation:
    """One source that reads files, on its way into a store.

    Args:
        source: what is stored.
        stores: the folder that the store will be in.

    Raises:
        DataError: a file is missing or broken.
    """

    def __init__(self, source: Source, stores: Path) -> None:
        self.source = source
        self.stores = stores
        self.quick = quick_key(source)
        self.ready = find(self.quick, stores)
        self.stamps = stamps_of(source)
        self.sizes = [source.size(index) for index in range(len(source))]
        first = images_of(source[0])
        pixels = first["clean"].shape[0] * first["clean"].shape[1]
        self.per_pixel = sum(image.nbytes for image in first.values()) // pixels
        self.file_bytes = sum(length for length, _ in self.stamps.values())

    @cached_property
    def bytes(self) -> int:
        """Of all pixels, from the headers; a clean image that several samples share counts once."""
        files = [tuple(files_of(self.source, index)) for index in range(len(self.source))]
        # Where several samples come from the very same files (blocks of one array), none is shared.
        alone = Counter(files)
        seen: set[tuple[Path, tuple[int, int]]] = set()
        total = 0
        for paths, size in zip(files, self.sizes, strict=True):
            shared = (paths[-1], size) in seen and alone[paths] == 1
            total += size[0] * size[1] * (self.per_pixel - 3 * shared)
            seen.add((paths[-1], size))
        return total

    def digests(self, read: Callable[[int], None]) -> dict[Path, str]:
        """SHA-256 of every file; ``read`` is told the bytes of each."""
        digests = {}
        for file, (length, _) in self.stamps.items():
            try:
                digests[file] = file_hash(file)
            except OSError as error:
                raise DataError(f"{file}: cannot be read ({error.strerror}).") from None
            read(length)
        return digests

    def run(self, digests: dict[Path, str], stored: Callable[[], None]) -> Path:
        """Store what is missing, beside other processes that do the same.

        Args:
            digests: of :meth:`digests`.
            stored: is called once for each sample that is in the store, old or new.

        Returns:
            The store.

        Raises:
            DataError: a file is broken, or changed while it was being read.
            UsageError: the store cannot be written.
        """
        directory = self.directory(digests)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            shards = pending = [Shard(directory, *entry) for entry in enumerate(self._shards())]
            while pending := [shard for shard in pending if not shard.fill(self._read, stored)]:
                time.sleep(WAIT)
            self._finish(directory, [shard.path for shard in shards], digests)
        except OSError as error:
            raise UsageError(f"{directory}: cannot be written ({error.strerror}).") from None
        return directory

    def directory(self, digests: dict[Path, str]) -> Path:
        """Where the store is or will be."""
        return self.stores / content_key(self.source, digests)

    def _read(self, index: int) -> Sample:
        sample = self.source[index]
        for file in files_of(self.source, index):
            if stamp(file) != self.stamps[file]:
                raise DataError(f"{file}: changed while the store was made; run the command again.")
        return sample

    def _shards(self) -> list[list[int]]:
        """Which samples make up which shard: those of a scene side by side, in the source's order.

        It depends on the source alone, so that all processes agree.
        """
        first: dict[str, int] = {}
        scenes = [first.setdefault(self.source.scene(i), i) for i in range(len(self.source))]
        shards: list[list[int]] = []
        room = 0
        for index in sorted(range(len(scenes)), key=scenes.__getitem__):
            if room <= 0:
                shards.append([])
                room = SHARD
            shards[-1].append(index)
            room -= int(np.prod(self.sizes[index])) * self.per_pixel
        return shards

    def _finish(self, directory: Path, shards: Iterable[Path], digests: dict[Path, str]) -> None:
        manifest = {
            "version": VERSION,
            "reader": f"{type(self.source).__module__}.{type(self.source).__qualname__}",
            "samples": len(self.source),
            "shards": {path.name: path.stat().st_size for path in shards},
            "files": [[file.name, self.stamps[file][0], digests[file]] for file in self.stamps],
        }
        if not (directory / MANIFEST).exists():
            write_json(directory / MANIFEST, manifest)
        (directory / SEEN).mkdir(exist_ok=True)
        (directory / SEEN / self.quick).touch()


def leaf_sources(source: Source) -> list[Source]:
    """The sources inside a source that read files themselves."""
    found: list[Source] = []

    def note(leaf: Source) -> Source:
        found.append(leaf)
        return leaf

    map_sources(source, note)
    return found


def refuse_without_room(preparations: Iterable[tuple[Preparation, Path]], stores: Path) -> None:
    """See that the disk of the folder ``stores`` holds what is not in the stores' directories yet.

    Raises:
        UsageError: there is too little room.
    """
    needed = 0
    for preparation, directory in preparations:
        held = sum(path.stat().st_size for path in directory.glob("shard-*.npy*"))
        needed += max(preparation.bytes - held, 0)
    free = free_bytes(stores)
    if needed > free:
        raise UsageError(
            f"{stores}: {gigabytes(needed)} are needed and {gigabytes(free)} are free; make room, "
            "or choose another disk with paths.stores=FOLDER."
        )


def free_bytes(folder: Path) -> int:
    """Room on the disk that a folder is on or would be on."""
    existing = next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())
    return shutil.disk_usage(existing).free


def gigabytes(count: int) -> str:
    """A number of bytes for people: ``15.3 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
