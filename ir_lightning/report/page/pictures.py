"""The pictures of the report's page: crops from the gallery of each cell's first finished seed."""

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image as Pillow

from ir_lightning.data.image_files import read_image
from ir_lightning.data.samples import Image
from ir_lightning.errors import DataError
from ir_lightning.report.content import NamedCell
from ir_lightning.report.runs import ReportedMetric
from ir_lightning.runs.gallery import KINDS, Shot, read_gallery

SIDES = (512, 384, 256)
"""Pixels: the largest crops first; smaller ones where they would not all fit."""
QUALITY = 90
LIMIT = 11_000_000
"""Characters of all pictures of a page; its curves and tables add a few hundred thousand."""
Version = tuple[str, str, int]
"""A picture that a slider can show: its name, its scores in words, its number in the album."""
Gallery = tuple[NamedCell, int, list[Shot]]
"""The images of a cell that are shown, and the seed of their run."""


class FullError(Exception):
    """A picture does not fit into the page any more."""


def centre(image: Image, side: int) -> Image:
    """(H, W, 3) to at most (side, side, 3) around the centre; no pixel is resampled."""
    top, left = (max(0, (length - side) // 2) for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def data_uri(kind: str, content: bytes) -> str:
    """A file inside the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


@dataclass
class Album:
    """Crops by number; the same pixels are kept once."""

    side: int  #: Of the crops, in pixels.
    limit: int = LIMIT  #: Characters of all together.
    numbers: dict[str, int] = field(default_factory=dict)  #: By data: URI.
    sizes: list[tuple[int, int]] = field(default_factory=list)  #: (width, height) of each.

    @property
    def pictures(self) -> list[str]:
        return list(self.numbers)

    def add(self, paths: list[Path]) -> list[int]:
        """The numbers of files' crops; FullError or DataError, and none is in, if one fails."""
        found = [self._encoded(path) for path in paths]
        new = {uri: size for uri, size in found if uri not in self.numbers}
        if sum(map(len, (*self.numbers, *new))) > self.limit:
            raise FullError
        for uri, size in new.items():
            self.numbers[uri] = len(self.sizes)
            self.sizes.append(size)
        return [self.numbers[uri] for uri, _ in found]

    def _encoded(self, path: Path) -> tuple[str, tuple[int, int]]:
        crop = centre(read_image(path), self.side)
        file = io.BytesIO()
        # Not WebP, which smooths coloured noise; without optimize=True, which noise breaks.
        Pillow.fromarray(crop).save(file, "JPEG", quality=QUALITY, subsampling=0)
        return data_uri("image/jpeg", file.getvalue()), (crop.shape[1], crop.shape[0])


@dataclass(frozen=True)
class Slider:
    """A test image in at least two versions, two of which are compared at a time."""

    image: str
    why: str  #: What it is shown for.
    width: int  #: Of the crop, in pixels.
    height: int
    versions: list[Version]  #: The first is on the left at the beginning.
    right: int  #: Number of the version on the right.


@dataclass
class Pictures:
    """All sliders of a page."""

    album: Album
    metrics: Sequence[ReportedMetric]  #: Whose scores are said, the most important first.
    whole: bool = False  #: Whether nothing may be left out.
    compare: dict[str, Slider] = field(default_factory=dict)
    """By data set, all cells on its first image."""
    extremes: dict[str, tuple[int, list[Slider]]] = field(default_factory=dict)
    """By cell: its title, the seed, and its worst and best images."""
    left_out: int = 0  #: Sliders, or sides of one, that did not fit.
    broken: int = 0  #: Those that could not be read.

    def add(self, files: list[Path]) -> list[int]:
        """Their numbers in the album; none, which counts, if they do not fit or cannot be read."""
        try:
            return self.album.add(files)
        except FullError:
            if self.whole:
                raise
            self.left_out += 1
        except DataError:
            self.broken += 1
        return []

    def note(self, shot: Shot, kind: str) -> str:
        """A version's scores in words."""
        scores = shot.scores.get(kind, {})
        if math.inf in scores.values():
            return "equal to the clean image"
        return ", ".join(m.words(scores[m.name]) for m in self.metrics if m.name in scores)

    def worth(self, shot: Shot) -> float:
        """How well an image is restored: more is better."""
        first = self.metrics[0]
        return first.sign * shot.scores["restored"].get(first.name, math.nan)

    def slider(self, shot: Shot, why: str, versions: list[Version], right: int) -> Slider:
        return Slider(shot.name, why, *self.album.sizes[versions[0][2]], versions, right)


def choose_pictures(
    cells: Sequence[NamedCell], metrics: Sequence[ReportedMetric], limit: int = LIMIT
) -> Pictures:
    """Everything in the largest crops with which it fits, or what fits of the smallest ones."""
    galleries = [gallery for cell in cells if (gallery := _gallery(cell))]
    for side in SIDES[:-1]:
        try:
            return _laid_out(galleries, Pictures(Album(side, limit), metrics, whole=True))
        except FullError:
            continue
    return _laid_out(galleries, Pictures(Album(SIDES[-1], limit), metrics))


def _gallery(cell: NamedCell) -> Gallery | None:
    """What is shown of a cell; None where no finished run has a gallery."""
    for seed, run in cell.group.runs.items():
        if run.finished and (shots := read_gallery(run.directory)):
            return cell, seed, shots
    return None


def _laid_out(galleries: Sequence[Gallery], pictures: Pictures) -> Pictures:
    """First images first, then the worst of each cell, the best, the second worst, ..."""
    for dataset, firsts in _firsts(galleries).items():
        if slider := _compared(pictures, firsts):
            pictures.compare[dataset] = slider
    extremes: dict[str, tuple[int, list[Slider]]] = {}
    for cell, seed, _ in galleries:
        extremes.setdefault(cell.title, (seed, []))
    for cell, why, shot in _in_turn(galleries, pictures):
        if numbers := pictures.add([shot.files[kind] for kind in KINDS]):
            notes = [pictures.note(shot, kind) for kind in KINDS]
            slider = pictures.slider(shot, why, [*zip(KINDS, notes, numbers, strict=True)], 1)
            extremes[cell.title][1].append(slider)
    pictures.extremes = {title: shown for title, shown in extremes.items() if shown[1]}
    return pictures


def _firsts(galleries: Sequence[Gallery]) -> dict[str, list[tuple[NamedCell, int, Shot]]]:
    """By data set, the cells that have restored its first image; others are not comparable."""
    firsts: dict[str, list[tuple[NamedCell, int, Shot]]] = {}
    for cell, seed, shots in galleries:
        for shot in [shot for shot in shots if "first" in shot.why][:1]:
            others = firsts.setdefault(cell.dataset, [])
            if not others or others[0][2].name == shot.name:
                others.append((cell, seed, shot))
    return firsts


def _in_turn(
    galleries: Sequence[Gallery], pictures: Pictures
) -> Iterator[tuple[NamedCell, str, Shot]]:
    """Every cell's worst, every cell's best, every cell's second worst, and so on."""
    for rank in range(max((len(shots) for _, _, shots in galleries), default=0)):
        for why in ("worst", "best"):
            for cell, _, shots in galleries:
                chosen = [shot for shot in shots if why in shot.why]
                chosen.sort(key=pictures.worth, reverse=why == "best")
                if rank < len(chosen):
                    yield cell, why, chosen[rank]


def _compared(pictures: Pictures, firsts: list[tuple[NamedCell, int, Shot]]) -> Slider | None:
    """A slider over one image: degraded, clean and what each cell makes of it."""
    shot = firsts[0][2]
    ends = pictures.add([shot.files["degraded"], shot.files["clean"]])
    if not ends:
        return None
    versions = [("degraded", pictures.note(shot, "degraded"), ends[0]), ("clean", "", ends[1])]
    worth = [-math.inf, -math.inf]
    for cell, seed, own in firsts:
        if number := pictures.add([own.files["restored"]]):
            name = f"{cell.label} (seed {seed})"
            versions.append((name, pictures.note(own, "restored"), number[0]))
            worth.append(pictures.worth(own))
    if len(versions) == 2:
        return None
    return pictures.slider(shot, "first", versions, worth.index(max(worth)))
