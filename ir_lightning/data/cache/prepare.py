"""Making stores: how much there is to store, and then sample by sample, many processes at once."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from ir_lightning.data.cache import store
from ir_lightning.data.samples import Sample, Source, files_of
from ir_lightning.errors import DataError, UsageError
from ir_lightning.files import file_hash, write_json

SHARD = 512 * 2**20  # bytes, about, that one process works on; 240 of them hold RainCityscapes
WAIT = 0.2  # seconds until a shard that another process is at is looked at again
ALIGNMENT = 64  # bytes: every image begins where vector instructions like it, floats included
HEADER = 128  # bytes of the header of a one-dimensional .npy file

Read = Callable[[int], Sample]
Step = Callable[[], None]
Record = dict[str, Any]  # a line of the journal: index, and kind: [start, shape, dtype, SHA-256]


class Preparation:
    """One source that reads files, on its way into a store in the folder ``stores``.

    Raises:
        DataError: a file is missing or broken.
    """

    def __init__(self, source: Source, stores: Path) -> None:
        self.source = source
        self.stores = stores
        self.quick = store.quick_key(source)
        self.ready = store.find(self.quick, stores)
        self.stamps = store.stamps_of(source)
        self.sizes = [source.size(index) for index in range(len(source))]
        first = store.images_of(source[0])
        pixels = first["clean"].shape[0] * first["clean"].shape[1]
        self.per_pixel = sum(image.nbytes for image in first.values()) // pixels
        self.file_bytes = sum(length for length, _ in self.stamps.values())

    @cached_property
    def bytes(self) -> int:
        """Of all pixels, from the headers; a clean image that several samples share counts once."""
        files = [tuple(files_of(self.source, index)) for index in range(len(self.source))]
        alone = Counter(files)  # of several samples of the very same files none is shared
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

    def run(self, digests: dict[Path, str], stored: Step) -> Path:
        """Store what is missing, beside other processes; call ``stored`` once for each sample.

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
        return self.stores / store.content_key(self.source, digests)

    def _read(self, index: int) -> Sample:
        sample = self.source[index]
        for file in files_of(self.source, index):
            if store.stamp(file) != self.stamps[file]:
                raise DataError(f"{file}: changed while the store was made; run the command again.")
        return sample

    def _shards(self) -> list[list[int]]:
        """The samples of each shard, those of a scene side by side: a function of the source."""
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
        reader = type(self.source)
        manifest = {
            "version": store.VERSION,
            "reader": f"{reader.__module__}.{reader.__qualname__}",
            "samples": len(self.source),
            "shards": {path.name: path.stat().st_size for path in shards},
            "files": [[file.name, self.stamps[file][0], digests[file]] for file in self.stamps],
        }
        if not (directory / store.MANIFEST).exists():
            write_json(directory / store.MANIFEST, manifest)
        (directory / store.SEEN).mkdir(exist_ok=True)
        (directory / store.SEEN / self.quick).touch()


class Shard:
    """Some samples of a source, their pixels one after the other in ``shard-NNN.npy``.

    While it grows it is called ``.npy.part``. The journal beside it has a line for each sample
    whose pixels are written; what a crash of the machine spoiled is known by the checksums. A lock
    on the journal keeps other processes off. Equal images are stored once.
    """

    def __init__(self, directory: Path, number: int, indices: Sequence[int]) -> None:
        self.path = directory / f"shard-{number:03d}.npy"
        self.part = self.path.with_suffix(".npy.part")
        self.journal = self.path.with_suffix(".jsonl")
        self.indices = indices

    def fill(self, read: Read, stored: Step) -> bool:
        """Write what is missing, call ``stored`` per sample; False if another process is at it."""
        with self.journal.open("a+b") as journal:
            try:
                fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if self.path.exists():
                for _ in self.indices:
                    stored()
                return True
            self.part.touch()
            with self.part.open("r+b") as pixels:
                self._write(pixels, journal, read, stored)
            self.part.replace(self.path)
        return True

    def _write(self, pixels: IO[bytes], journal: IO[bytes], read: Read, stored: Step) -> None:
        """Take up the work after the last intact sample, and bring all to the disk."""
        records = list(self._intact(pixels, journal))
        known = {image[3]: image for record in records for image in _images(record)}
        end = max((_end(image) for image in known.values()), default=0)
        pixels.truncate(HEADER + end)
        for place, index in enumerate(self.indices):
            if place >= len(records):
                record: Record = {"index": index}
                for kind, image in store.images_of(read(index)).items():
                    shape, data = list(image.shape), image.tobytes()
                    digest = _digest(data, shape)
                    if digest not in known:
                        start = -(-end // ALIGNMENT) * ALIGNMENT
                        pixels.seek(HEADER + start)
                        pixels.write(data)
                        known[digest] = [start, shape, image.dtype.str, digest]
                        end = start + len(data)
                    record[kind] = known[digest]
                pixels.flush()
                journal.write(json.dumps(record).encode() + b"\n")
                journal.flush()
            stored()
        pixels.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": (end,)}
        np.lib.format.write_array_header_1_0(pixels, header)
        if pixels.tell() != HEADER:
            raise AssertionError("numpy writes another header than it did")
        for file in (pixels, journal):
            file.flush()
            os.fsync(file.fileno())

    def _intact(self, pixels: IO[bytes], journal: IO[bytes]) -> Iterator[Record]:
        """The journal's records whose pixels are all there; the journal is cut after them."""

        def spoiled(image: Sequence[Any]) -> bool:
            pixels.seek(HEADER + image[0])
            return bool(_digest(pixels.read(_end(image) - image[0]), image[1]) != image[3])

        journal.seek(0)
        good = 0
        for index, line in zip(self.indices, journal.readlines(), strict=False):
            try:
                record = json.loads(line)
            except ValueError:
                break
            whole = record["index"] == index and line.endswith(b"\n")
            if not whole or any(map(spoiled, _images(record))):
                break
            good += len(line)
            yield record
        journal.truncate(good)


def leaf_sources(source: Source) -> list[Source]:
    """The sources inside a source that read files themselves."""
    found: list[Source] = []

    def note(leaf: Source) -> Source:
        found.append(leaf)
        return leaf

    store.map_sources(source, note)
    return found


def refuse_without_room(preparations: Iterable[tuple[Preparation, Path]], stores: Path) -> None:
    """Raise UsageError where the disk of ``stores`` has no room for what is not stored yet."""
    needed = 0
    for preparation, directory in preparations:
        held = sum(path.stat().st_size for path in directory.glob("shard-*.npy*"))
        needed += max(preparation.bytes - held, 0)
    free = free_bytes(stores)
    if needed > free:
        room = f"{gigabytes(needed)} are needed and {gigabytes(free)} are free"
        advice = "make room, or choose another disk with paths.stores=FOLDER"
        raise UsageError(f"{stores}: {room}; {advice}.")


def free_bytes(folder: Path) -> int:
    """Room on the disk that a folder is on or would be on."""
    existing = next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())
    return shutil.disk_usage(existing).free


def gigabytes(count: int) -> str:
    """A number of bytes for people: ``15.3 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _digest(data: bytes, shape: Sequence[int]) -> str:
    return hashlib.sha256(repr(list(shape)).encode() + data).hexdigest()


def _end(image: Sequence[Any]) -> int:
    start, shape, dtype, _ = image
    return int(start + np.prod(shape) * np.dtype(dtype).itemsize)


def _images(record: Record) -> list[list[Any]]:
    return [value for value in record.values() if isinstance(value, list)]
