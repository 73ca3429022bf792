"""What every collection of images looks like: free of torch, so that a look at one costs little."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3), RGB, 0..255
Depth = NDArray[np.float32]  # (H, W), relative distance: 0 = nearest, 1 = farthest point


@dataclass(frozen=True)
class Sample:
    """The clean image of a scene and, where the source knows them, its degraded twin and depth.

    They may be read-only.
    """

    name: str
    clean: Image
    degraded: Image | None = None
    depth: Depth | None = None


def fixed(clean: Image, depth: Depth) -> tuple[Image, Depth]:
    """Both, read-only: what a source keeps in memory is the same sample at every call."""
    clean.flags.writeable = depth.flags.writeable = False
    return clean, depth


class Source(Protocol):
    """A finite, ordered collection; ``source[i]`` is the same sample at every call."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def name(self, index: int) -> str:
        """A name that is unique in the source, without reading the image."""

    def size(self, index: int) -> tuple[int, int]:
        """(height, width), without decoding the image."""

    def scene(self, index: int) -> str:
        """What must not stand on both sides of a split: images of one scene share this key."""


@runtime_checkable
class Checked(Protocol):
    """A source that can look at its files before anything is trained on them."""

    def check(self) -> None:
        """Read every header; raises UsageError that names the first bad file and counts them."""


def files_of(source: Source, index: int) -> list[Path]:
    """The files that a sample is read from; none if the source has no ``files(index)``."""
    files: list[Path] = source.files(index) if hasattr(source, "files") else []
    return files
