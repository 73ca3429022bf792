"""The pictures of the report's page: which ones, in which order, and what is said below them.

They come from the galleries of the runs. Of each cell the first finished seed that has one is
shown: the data set's first image beside those of the other cells, and its worst and best images.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ir_lightning.errors import DataError
from ir_lightning.report.naming import NamedCell
from ir_lightning.report.page.crops import LIMIT, SIDES, Album, FullError
from ir_lightning.runs.gallery import GALLERY, KINDS, read_gallery

EXTREMES = ("worst", "best")


@dataclass(frozen=True)
class Shot:
    """A test image of a run, as its gallery describes it.

    Attributes:
        name: of the test image.
        why: ``first``, ``worst`` or ``best``, or several.
        scores: PSNR in dB and SSIM of the whole image, by kind: degraded and restored.
        files: by kind: degraded, restored and clean.
    """

    name: str
    why: list[str]
    scores: dict[str, tuple[float, float]]
    files: dict[str, Path]


@dataclass(frozen=True)
class Version:
    """A picture that a slider can show on one of its sides.

    Attributes:
        name: what it is.
        note: its scores, in words; empty for the clean image.
        picture: its number in the album.
    """

    name: str
    note: str
    picture: int

    @property
    def as_list(self) -> list[str | int]:
        """As the page's script reads it."""
        return [self.name, self.note, self.picture]


@dataclass(frozen=True)
class Slider:
    """A test image in several versions, two of which are compared at a time.

    Attributes:
        image: its name.
        why: what it is shown for.
        width, height: of the crop, in pixels.
        versions: at least two.
        left, right: numbers of those that are compared first.
    """

    image: str
    why: str
    width: int
    height: int
    versions: list[Version]
    left: int
    right: int


@dataclass
class Pictures:
    """All sliders of a page.

    Attributes:
        album: the crops.
        whole: whether nothing may be left out.
        compare: by data set, all cells on its first image.
        extremes: by cell: its title, the seed, and its worst and best images.
        left_out: how many sliders or sides of one did not fit.
        broken: how many could not be read.
    """

    album: Album
    whole: bool = False
    compare: dict[str, Slider] = field(default_factory=dict)
    extremes: dict[str, tuple[int, list[Slider]]] = field(default_factory=dict)
    left_out: int = 0
    broken: int = 0


def gallery_of(cell: NamedCell) -> tuple[int, list[Shot]]:
    """The seed that is shown and its images; -1 and none where no finished run has a gallery."""
    for seed, run in sorted(cell.group.runs.items()):
        entries = read_gallery(run.directory) if run.finished else []
        shots = [shot for entry in entries if (shot := _shot(run.directory / GALLERY, entry))]
        if shots:
            return seed, shots
    return -1, []


def _shot(folder: Path, entry: Any) -> Shot | None:
    """An entry of a gallery; None if it is not one."""
    try:
        scores = {
            kind: (float(entry["scores"][kind]["psnr"]), float(entry["scores"][kind]["ssim"]))
            for kind in KINDS[:2]
        }
        # Names only: a gallery shows nothing from outside its folder.
        files = {kind: folder / Path(str(entry["files"][kind])).name for kind in KINDS}
        return Shot(str(entry["name"]), [str(why) for why in entry["why"]], scores, files)
    except (KeyError, TypeError, ValueError):
        return None


def choose_pictures(cells: Sequence[NamedCell], limit: int = LIMIT) -> Pictures:
    """Everything in the largest crops with which it fits, or what fits of the smallest ones.

    Args:
        cells: of the experiment.
        limit: characters of all pictures together.
    """
    galleries = [(cell, *gallery_of(cell)) for cell in cells]
    for side in SIDES[:-1]:
        try:
            return _laid_out(galleries, Pictures(Album(side, limit), whole=True))
        except FullError:
            continue
    return _laid_out(galleries, Pictures(Album(SIDES[-1], limit)))


Galleries = Sequence[tuple[NamedCell, int, list[Shot]]]


def _laid_out(galleries: Galleries, pictures: Pictures) -> Pictures:
    """First images first, then the worst of each cell, the best, the second worst, ..."""
    for dataset, firsts in _firsts(galleries).items():
        if slider := _compared(pictures, firsts):
            pictures.compare[dataset] = slider
    for cell, seed, why, shot in _in_turn(galleries):
        if slider := _before_after(pictures, shot, why):
            pictures.extremes.setdefault(cell.title, (seed, []))[1].append(slider)
    order = [cell.title for cell, _, _ in galleries]
    pictures.extremes = {t: pictures.extremes[t] for t in order if t in pictures.extremes}
    return pictures


def _firsts(galleries: Galleries) -> dict[str, list[tuple[NamedCell, int, Shot]]]:
    """By data set, the cells that have restored its first image; others are not comparable."""
    found: dict[str, list[tuple[NamedCell, int, Shot]]] = {}
    for cell, seed, shots in galleries:
        for shot in [shot for shot in shots if "first" in shot.why][:1]:
            others = found.setdefault(cell.dataset, [])
            if not others or others[0][2].name == shot.name:
                others.append((cell, seed, shot))
    return found


def _in_turn(galleries: Galleries) -> Iterator[tuple[NamedCell, int, str, Shot]]:
    """Every cell's worst, every cell's best, every cell's second worst, and so on."""
    most = max((len(shots) for _, _, shots in galleries), default=0)
    for rank in range(most):
        for why in EXTREMES:
            for cell, seed, shots in galleries:
                chosen = _ranked(shots, why)
                if rank < len(chosen):
                    yield cell, seed, why, chosen[rank]


def _ranked(shots: Sequence[Shot], why: str) -> list[Shot]:
    """The worst, or the best, the most extreme one first."""
    chosen = [shot for shot in shots if why in shot.why]
    return sorted(chosen, key=lambda shot: shot.scores["restored"][0], reverse=why == "best")


def _compared(pictures: Pictures, firsts: list[tuple[NamedCell, int, Shot]]) -> Slider | None:
    """A slider over one image: degraded, clean and what each cell makes of it."""
    shot = firsts[0][2]
    ends = _added(pictures, [shot.files["degraded"], shot.files["clean"]])
    if not ends:
        return None
    versions = [Version("degraded", note(shot, "degraded"), ends[0]), Version("clean", "", ends[1])]
    psnr = [-math.inf, -math.inf]
    for cell, seed, own in firsts:
        if number := _added(pictures, [own.files["restored"]]):
            name = f"{cell.label} (seed {seed})"
            versions.append(Version(name, note(own, "restored"), number[0]))
            psnr.append(own.scores["restored"][0])
    if len(versions) == 2:
        return None
    return _slider(pictures, shot.name, "first", versions, 0, psnr.index(max(psnr)))


def _before_after(pictures: Pictures, shot: Shot, why: str) -> Slider | None:
    numbers = _added(pictures, [shot.files[kind] for kind in KINDS])
    if not numbers:
        return None
    versions = [
        Version(kind, note(shot, kind), number) for kind, number in zip(KINDS, numbers, strict=True)
    ]
    return _slider(pictures, shot.name, why, versions, 0, 1)


def _slider(
    pictures: Pictures, image: str, why: str, versions: list[Version], left: int, right: int
) -> Slider:
    width, height = pictures.album.sizes[versions[0].picture]
    return Slider(image, why, width, height, versions, left, right)


def _added(pictures: Pictures, files: list[Path]) -> list[int]:
    """Their numbers in the album; none if they do not fit or cannot be read, which is counted."""
    try:
        return pictures.album.add(files)
    except FullError:
        if pictures.whole:
            raise
        pictures.left_out += 1
    except DataError:
        pictures.broken += 1
    return []


def note(shot: Shot, kind: str) -> str:
    """A version's scores in words."""
    if kind not in shot.scores:
        return ""
    psnr, ssim = shot.scores[kind]
    return f"{psnr:.2f} dB, SSIM {ssim:.3f}" if psnr < math.inf else "equal to the clean image"
