"""The pictures of the report's page: which ones, in which order, and what is said below them.

They come from the galleries of the runs. Of each cell the first finished seed that has one is
shown: the data set's first image beside those of the other cells, and its worst and best images.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ir_lightning.errors import DataError
from ir_lightning.report.naming import NamedCell
from ir_lightning.report.page.crops import LIMIT, SIDES, Album, FullError
from ir_lightning.report.runs import ReportedMetric
from ir_lightning.runs.gallery import KINDS, Shot, read_gallery

EXTREMES = ("worst", "best")
Version = tuple[str, str, int]
"""A picture that a slider can show: its name, its scores in words, its number in the album."""
Gallery = tuple[NamedCell, int, list[Shot]]
"""The images of a cell that are shown, and the seed of their run."""


@dataclass(frozen=True)
class Slider:
    """A test image in at least two versions, two of which are compared at a time.

    Attributes:
        image: its name.
        why: what it is shown for.
        width, height: of the crop, in pixels.
        versions: the first is on the left at the beginning.
        right: number of the version on the right.
    """

    image: str
    why: str
    width: int
    height: int
    versions: list[Version]
    right: int


@dataclass
class Pictures:
    """All sliders of a page.

    Attributes:
        album: the crops.
        metrics: whose scores are said, the most important first.
        whole: whether nothing may be left out.
        compare: by data set, all cells on its first image.
        extremes: by cell: its title, the seed, and its worst and best images.
        left_out: how many sliders or sides of one did not fit.
        broken: how many could not be read.
    """

    album: Album
    metrics: Sequence[ReportedMetric]
    whole: bool = False
    compare: dict[str, Slider] = field(default_factory=dict)
    extremes: dict[str, tuple[int, list[Slider]]] = field(default_factory=dict)
    left_out: int = 0
    broken: int = 0

    def add(self, files: list[Path]) -> list[int]:
        """Their numbers in the album; none if they do not fit or cannot be read: they count.

        Raises:
            FullError: they do not fit where nothing may be left out.
        """
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
        """A slider of crops that are in the album."""
        return Slider(shot.name, why, *self.album.sizes[versions[0][2]], versions, right)


def choose_pictures(
    cells: Sequence[NamedCell], metrics: Sequence[ReportedMetric], limit: int = LIMIT
) -> Pictures:
    """Everything in the largest crops with which it fits, or what fits of the smallest ones.

    Args:
        cells: of the experiment.
        metrics: whose scores are said, the most important first.
        limit: characters of all pictures.
    """
    galleries = [gallery for cell in cells if (gallery := gallery_of(cell))]
    for side in SIDES:
        try:
            pictures = Pictures(Album(side, limit), metrics, whole=side != SIDES[-1])
            return _laid_out(galleries, pictures)
        except FullError:
            continue
    raise AssertionError("of the smallest crops, some are left out")


def gallery_of(cell: NamedCell) -> Gallery | None:
    """What is shown of a cell; None where no finished run has a gallery."""
    for seed, run in sorted(cell.group.runs.items()):
        if run.finished and (shots := read_gallery(run.directory)):
            return cell, seed, shots
    return None


def _laid_out(galleries: Sequence[Gallery], pictures: Pictures) -> Pictures:
    """First images first, then the worst of each cell, the best, the second worst, ..."""
    for dataset, firsts in _firsts(galleries).items():
        if slider := _compared(pictures, firsts):
            pictures.compare[dataset] = slider
    for cell, seed, why, shot in _in_turn(galleries, pictures):
        if numbers := pictures.add([shot.files[kind] for kind in KINDS]):
            notes = [pictures.note(shot, kind) for kind in KINDS]
            slider = pictures.slider(shot, why, [*zip(KINDS, notes, numbers, strict=True)], 1)
            pictures.extremes.setdefault(cell.title, (seed, []))[1].append(slider)
    order = [cell.title for cell, _, _ in galleries]
    pictures.extremes = {t: pictures.extremes[t] for t in order if t in pictures.extremes}
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
) -> Iterator[tuple[NamedCell, int, str, Shot]]:
    """Every cell's worst, every cell's best, every cell's second worst, and so on."""
    for rank in range(max((len(shots) for _, _, shots in galleries), default=0)):
        for why in EXTREMES:
            for cell, seed, shots in galleries:
                chosen = [shot for shot in shots if why in shot.why]
                chosen.sort(key=pictures.worth, reverse=why == "best")
                if rank < len(chosen):
                    yield cell, seed, why, chosen[rank]


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
