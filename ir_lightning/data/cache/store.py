"""Samples that were decoded once and are read from memory-mapped arrays ever after."""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ir_lightning.data.samples import Sample, Source, files_of
from ir_lightning.errors import DataError, UsageError
from ir_lightning.names import stable_name

VERSION = 1  # raised when the same files would be read as other pixels, or laid out in another way
MANIFEST = "manifest.json"
SEEN = "seen"
KINDS = ("clean", "degraded", "depth")
PREPARE = "run `ir-lightning data prepare DATASET` with the same overrides"


class Stored:
    """A source whose pixels come from a store; everything else comes from the source itself.

    Images are read-only views of memory-mapped arrays; a slice of one reads its rows only. A store
    is a folder of a few large shards, since opening a file costs more than reading a crop::

        <content key>/shard-000.npy     pixels of many images one after the other
                      shard-000.jsonl   one line per sample: where in the shard its images are
                      manifest.json     the files it was made of; written last: the store is whole
                      seen/<quick key>  an empty file for each state of the files it was compared to

    Raises:
        UsageError: the store is incomplete or damaged.
    """

    def __init__(self, source: Source, directory: Path) -> None:
        self.source = source
        self.directory = directory
        samples: dict[int, tuple[str, Any]] = {}
        try:
            manifest = json.loads((directory / MANIFEST).read_text("utf-8"))
            for name, length in manifest["shards"].items():
                shard = directory / name
                if shard.stat().st_size != length:
                    raise ValueError
                for line in shard.with_suffix(".jsonl").read_text("utf-8").splitlines():
                    record = json.loads(line)
                    samples[record["index"]] = name, record
            self.samples = [samples[index] for index in range(len(source))]
        except (OSError, ValueError, KeyError):
            problem = f"{directory}: the store is incomplete or damaged"
            raise UsageError(f"{problem}; delete it and {PREPARE}.") from None
        self._shards: dict[str, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        shard, record = self.samples[index]
        pixels = self._shard(shard)
        images = {}
        for kind in record.keys() & set(KINDS):
            start, shape, dtype, _ = record[kind]
            end = start + int(np.prod(shape)) * np.dtype(dtype).itemsize
            images[kind] = pixels[start:end].view(dtype).reshape(shape)
        return Sample(self.name(index), **images)

    def name(self, index: int) -> str:
        return self.source.name(index)

    def size(self, index: int) -> tuple[int, int]:
        height, width, _ = self.samples[index][1]["clean"][1]
        return height, width

    def scene(self, index: int) -> str:
        return self.source.scene(index)

    def files(self, index: int) -> list[Path]:
        return files_of(self.source, index)

    def __getstate__(self) -> dict[str, Any]:
        # A worker process maps the shards itself: pickled, a mapping would become its gigabytes.
        return {**self.__dict__, "_shards": {}}

    def _shard(self, file: str) -> NDArray[np.uint8]:
        if file not in self._shards:
            try:
                mapped = np.load(self.directory / file, mmap_mode="r")
            except (OSError, ValueError) as error:
                raise DataError(f"{self.directory / file}: cannot be read ({error}).") from None
            # As a plain array: slicing numpy's memmap class takes longer.
            self._shards[file] = np.asarray(mapped)
        return self._shards[file]


def from_store(source: Source, store: str | bool, stores: str | Path, key: str = "data") -> Source:
    """The source, or those inside it, read from stores as far as they can be.

    ``auto`` takes the stores there are in the folder ``stores``, ``off`` none; any other ``store``
    is the folder that must hold one of every source on disk. Messages call the source ``key``.

    Raises:
        UsageError: a required store is missing, out of date or damaged.
    """
    if store in ("off", False):  # YAML reads a bare off as false
        return source
    folder = Path(stores if store == "auto" else str(store)).expanduser()

    def found(leaf: Source) -> Source:
        # To know a source takes a look at every file and one decoded sample: not without need.
        prepared = any(folder.glob(f"*/{SEEN}"))
        directory = find(quick_key(leaf), folder) if prepared else None
        if directory is not None:
            return Stored(leaf, directory)
        if store != "auto":
            problem = f"dataset.store={folder} holds no store of {key} as its files are now"
            raise UsageError(f"{problem}; {PREPARE} and paths.stores={folder}.")
        return leaf

    return map_sources(source, found)


def map_sources(source: Source, change: Callable[[Source], Source]) -> Source:
    """A source with every source inside it that reads files itself replaced by ``change(it)``.

    A wrapper keeps its sources in attributes, alone or in a list or a dict; it is copied.
    """
    inside = {name: value for name, value in vars(source).items() if _sources(value)}
    if not inside:
        return change(source) if len(source) and files_of(source, 0) else source
    wrapper = copy.copy(source)
    for name, value in inside.items():
        new: Any = [map_sources(each, change) for each in _sources(value)]
        if isinstance(value, dict):
            new = dict(zip(value, new, strict=True))
        setattr(wrapper, name, new if isinstance(value, list | dict) else new[0])
    return wrapper


def find(quick: str, stores: Path) -> Path | None:
    """The complete store that was compared with the files of this :func:`quick_key`."""
    directories = (seen.parent.parent for seen in stores.glob(f"*/{SEEN}/{quick}"))
    return next((d for d in sorted(directories) if (d / MANIFEST).exists()), None)


def quick_key(source: Source) -> str:
    """Changes when a file is replaced or touched; costs one look at each file's entry."""
    return content_key(source, {file: (file.name, *s) for file, s in stamps_of(source).items()})


def content_key(source: Source, marks: Mapping[Path, Any]) -> str:
    """The name of the store, where ``marks`` are the SHA-256 of the files.

    How the source reads is told by its class and by the pixels of its first sample: they differ
    when the halves are swapped, a border is cut, or another version of a decoder is installed.
    """
    first = {kind: digest(image) for kind, image in images_of(source[0]).items()}
    count = range(len(source))
    samples = [[source.name(i), [marks[file] for file in files_of(source, i)]] for i in count]
    text = json.dumps([VERSION, stable_name(type(source)), first, samples])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def digest(image: NDArray[Any]) -> str:
    """The same for images with the same pixels, whatever their files are."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def stamps_of(source: Source) -> dict[Path, tuple[int, int]]:
    """The :func:`stamp` of each file of a source."""
    files = dict.fromkeys(file for i in range(len(source)) for file in files_of(source, i))
    return {file: stamp(file) for file in files}


def stamp(file: Path) -> tuple[int, int]:
    """(bytes, time of the last change in ns); raises DataError where the file is missing."""
    try:
        state = file.stat()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}).") from None
    return state.st_size, state.st_mtime_ns


def images_of(sample: Sample) -> dict[str, NDArray[Any]]:
    """The images that a sample has, by :data:`KINDS`."""
    images = ((kind, getattr(sample, kind)) for kind in KINDS)
    return {kind: np.ascontiguousarray(image) for kind, image in images if image is not None}


def _sources(value: Any) -> list[Source]:
    """The sources in an attribute: itself, or a list or mapping of nothing but sources."""
    value = list(value.values()) if isinstance(value, dict) else value
    values = value if isinstance(value, list) else [value]
    methods = ("__getitem__", "name", "size", "scene")
    return values if all(hasattr(v, method) for v in values for method in methods) else []
