"""One file of a store: written sample by sample, continued after an interruption."""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ir_lightning.data.cache.store import images_of
from ir_lightning.data.samples import Sample

ALIGNMENT = 64  # bytes: every image begins where vector instructions like it, floats included
HEADER = 128  # bytes of the header of a one-dimensional .npy file

Record = dict[str, Any]
"""A line of the journal: ``index``, and for each image [start, shape, dtype, SHA-256]."""


class Shard:
    """Some samples of a source, their pixels one after the other in ``shard-NNN.npy``.

    While it grows it is called ``.npy.part``. The journal beside it has a line for each sample
    whose pixels are written, so a process that is killed loses the one it was at; what a crash of
    the machine spoiled is known by the checksums. A lock on the journal, which its owner's death
    releases, keeps other processes off. Equal images, such as the clean ones of a scene, are
    stored once.

    Args:
        directory: the store.
        number: of the shard.
        indices: of its samples, in the order in which they are stored.
    """

    def __init__(self, directory: Path, number: int, indices: Sequence[int]) -> None:
        self.path = directory / f"shard-{number:03d}.npy"
        self.part = self.path.with_suffix(".npy.part")
        self.journal = self.path.with_suffix(".jsonl")
        self.indices = indices

    def fill(self, read: Callable[[int], Sample], stored: Callable[[], None]) -> bool:
        """Write what is missing; False if another process is at it.

        Args:
            read: gives the sample of an index.
            stored: is called for each sample that is in the shard, old or new.
        """
        with self.journal.open("a+b") as journal:
            try:
                fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if not self.path.exists():
                self.part.touch()
                with self.part.open("r+b") as pixels:
                    self._write(pixels, journal, read, stored)
                self.part.replace(self.path)
                return True
        for _ in self.indices:
            stored()
        return True

    def _write(
        self,
        pixels: IO[bytes],
        journal: IO[bytes],
        read: Callable[[int], Sample],
        stored: Callable[[], None],
    ) -> None:
        """Take up the work after the last intact sample, and bring all to the disk."""
        records = list(self._intact(pixels, journal))
        known = {image[3]: image for record in records for image in _images(record)}
        end = max((_end(image) for image in known.values()), default=0)
        pixels.truncate(HEADER + end)
        for place, index in enumerate(self.indices):
            if place >= len(records):
                record: Record = {"index": index}
                for kind, image in images_of(read(index)).items():
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
            return _digest(pixels.read(_end(image) - image[0]), image[1]) != image[3]

        journal.seek(0)
        good = 0
        for index, line in zip(self.indices, journal.readlines(), strict=False):
            try:
                record = json.loads(line)
            except ValueError:
                break
            if record["index"] != index or not line.endswith(b"\n"):
                break
            if any(map(spoiled, _images(record))):
                break
            good += len(line)
            yield record
        journal.truncate(good)


def _digest(data: bytes, shape: Sequence[int]) -> str:
    return hashlib.sha256(repr(list(shape)).encode() + data).hexdigest()


def _end(image: Sequence[Any]) -> int:
    start, shape, dtype, _ = image
    return int(start + np.prod(shape) * np.dtype(dtype).itemsize)


def _images(record: Record) -> list[list[Any]]:
    return [value for value in record.values() if isinstance(value, list)]
