"""Photographs restored by each method of an experiment, by its first finished seed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter

from ir_lightning.build import TRAININGS, build, refuse_untrusted
from ir_lightning.cli.data import compose_data
from ir_lightning.cli.steps.zoom import choose, degraded_pixels, given
from ir_lightning.data.image_files import list_images, read_image, write_image
from ir_lightning.data.module import EvaluationPairs
from ir_lightning.data.pair_maker import PairMaker, to_pixels
from ir_lightning.data.samples import Image
from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.inference import load
from ir_lightning.report.experiment import chosen_datasets
from ir_lightning.report.kinds.photograph_table import PHOTOGRAPHS, Square
from ir_lightning.report.runs import Run, collect
from ir_lightning.runs.legacy import CONFIG, read_config

TWICE = 0.5
"""Correlation of two halves' horizontal detail above which they are one picture. Measured on 28
photographs of test_nature: 0.96 and more between the halves, below 0.05 within one of them."""


@dataclass(frozen=True)
class SourcePhotograph:
    """(H, W, 3) as it was taken, and clean where that is known."""

    name: str
    degraded: Image
    clean: Image | None


class RestorePhotographs:
    """Writes ``photographs/``: the photographs, their restored squares, and a list of them.

    Args:
        below_data: folder of photographs in ``paths.data``. Where it is not, the test images of the
            runs are restored.
        count: how many photographs, by budget.
        side: of the enlarged square, pixels.
        areas: squares by hand, ``[left, top, side]`` by the photograph's name.
        folder: a folder of photographs to restore instead.
    """

    leaves = str(PHOTOGRAPHS)

    def __init__(
        self,
        below_data: str,
        count: Mapping[str, int],
        side: int = 64,
        areas: Mapping[Any, Sequence[int]] | None = None,
        folder: str | None = None,
    ) -> None:
        self.below_data = below_data
        self.count = count
        self.side = side
        self.areas = {str(name): square for name, square in (areas or {}).items()}
        self.folder = folder

    def __call__(self, folder: Path, index: Mapping[str, Any]) -> None:
        """Restore for the experiment whose index lies in ``folder``.

        Raises:
            UsageError: the photographs or a run's weights are not there, or a square is not inside.
            DataError: a photograph is broken.
        """
        results, place = collect(folder), (folder / PHOTOGRAPHS).parent
        (folder / PHOTOGRAPHS).unlink(missing_ok=True)  # half of it is none
        methods = [(group.cell, group.finished[0]) for group in results.groups if group.finished]
        source, entries = "no photographs", []
        if methods:
            source, originals = self._originals(index, self.count[results.budget], methods[0][1])
            squares = [self._square(original) for original in originals]
            shown = list(zip(originals, squares, strict=True))
            entries = [self._entry(place, number, *each) for number, each in enumerate(shown)]
            for method, (cell, run) in enumerate(methods):
                restore = restorer_of(run)
                for number, (original, square) in enumerate(shown):
                    file = f"{number}-{method}.png"
                    write_image(place / file, square.of(restore(original.degraded)))
                    entries[number]["restored"].append({"cell": cell, "file": file})
        write_json(folder / PHOTOGRAPHS, {"source": source, "photographs": entries})

    def _originals(
        self, index: Mapping[str, Any], count: int, run: Run
    ) -> tuple[str, list[SourcePhotograph]]:
        """What the photographs are, in words, and they themselves."""
        folder = Path(self.folder).expanduser() if self.folder else None
        if folder is None and "datasets" in index:  # earlier versions looked before
            first = chosen_datasets(index["datasets"], index["dataset"])[0]
            data = compose_data(first, index["overrides"]).paths.data
            usual = Path(data).expanduser() / self.below_data if data else None
            folder = usual if usual and usual.is_dir() else None
        if folder is None:
            return of_test_set(run, count)
        if not folder.is_dir():
            raise UsageError(
                f"{folder}: there are no photographs here; give their folder by --photos."
            )
        return f"real photographs of {folder.name}", real(folder, count, list(self.areas))

    def _by_hand(self, original: SourcePhotograph) -> str | None:
        """The name by which the photograph's square is given, if it is."""
        names = (original.name, Path(original.name).stem)
        return next((name for name in names if name in self.areas), None)

    def _square(self, original: SourcePhotograph) -> Square:
        if name := self._by_hand(original):
            return given(name, self.areas[name], original.degraded)
        return choose(original.degraded, original.clean, self.side)

    def _entry(
        self, place: Path, number: int, original: SourcePhotograph, square: Square
    ) -> dict[str, Any]:
        """Write a photograph; what the list says of it."""
        clean: str | None = None
        undegraded: float | None = None
        write_image(place / f"{number}-degraded.png", original.degraded)
        if original.clean is not None:
            clean, inside = f"{number}-clean.png", square.of(original.clean)
            write_image(place / clean, inside)
            undegraded = 1 - float(degraded_pixels(square.of(original.degraded), inside).mean())
        return {
            "name": original.name,
            "square": [square.left, square.top, square.side],
            "by_hand": self._by_hand(original) is not None,
            "undegraded": undegraded,
            "degraded": f"{number}-degraded.png",
            "clean": clean,
            "restored": [],
        }


def restorer_of(run: Run) -> Callable[[Image], Image]:
    """A run's generator, which restores as the run's evaluation did: large images in tiles."""
    restorer, evaluation = load(run.directory), read_config(run.directory).get("evaluation") or {}
    limit = evaluation.get("whole_pixels")

    def restore(image: Image) -> Image:
        whole = limit is None or image.shape[0] * image.shape[1] <= limit
        restorer.tile = None if whole else evaluation["tile"]
        restorer.overlap = evaluation.get("overlap", restorer.overlap)
        return restorer(image)

    return restore


def real(folder: Path, count: int, wanted: Collection[str] = ()) -> list[SourcePhotograph]:
    """``count`` photographs of a folder: those wanted by name, and others spread evenly over it.

    A picture that shows one photograph in both halves, as Rain800's test_nature does, counts as
    its right half. Names are with or without their extensions; more than ``count`` are all shown.

    Raises:
        UsageError: no such folder, or it has no photograph of a wanted name.
        DataError: an image is broken.
    """
    paths = list_images(folder)
    for name in wanted:
        if not any(name in (path.name, path.stem) for path in paths):
            raise UsageError(f"areas: there is no photograph {name} in {folder}.")
    first = [path for path in paths if {path.name, path.stem} & set(wanted)]
    rest = [path for path in paths if path not in first]
    chosen = [*first, *(rest[place] for place in _spread(len(rest), count - len(first)))]
    return [SourcePhotograph(path.name, _once(read_image(path)), None) for path in chosen]


def of_test_set(run: Run, count: int) -> tuple[str, list[SourcePhotograph]]:
    """Test images of a run, with the degradations that it was scored on, spread evenly.

    Returns:
        What they are, in words, and the images.

    Raises:
        UsageError: its configuration cannot be read, names other classes than those of this
            package, or its images are no longer there.
    """
    config = read_config(run.directory)
    dataset, side = config["dataset"], config["budget"].get("evaluation_side")
    refuse_untrusted(dataset, run.directory / CONFIG, TRAININGS)
    source = build(dataset["test"], "dataset.test")
    composition = dataset["composition"] and build(dataset["composition"], "dataset.composition")
    make = PairMaker(composition, "degraded")
    order = config["data"].get("evaluation_order")
    pairs = EvaluationPairs(source, make, run.record["images"], side, order)
    kind = "paired" if composition is None else "synthetic"
    shown = [pairs[place] for place in _spread(len(pairs), count)]
    return f"{kind} test images of {run.record['dataset']}, not real photographs", [
        SourcePhotograph(pair["name"], to_pixels(pair["degraded"]), to_pixels(pair["clean"]))
        for pair in shown
    ]


def _spread(there: int, count: int) -> list[int]:
    """``count`` of the places 0 .. there - 1 from the first to the last, or all that there are."""
    count = max(0, min(count, there))
    return [int(place) for place in np.linspace(0, there - 1, count).round()]


def _once(picture: Image) -> Image:
    """(H, W, 3): the right half of a picture that shows the same in both, else the picture."""
    half = picture.shape[1] // 2
    if half < 2:
        return picture
    # How the grey value, without its noise, changes from column to column.
    left, right = (
        np.diff(uniform_filter(part.mean(axis=2), size=3), axis=1)
        for part in (picture[:, :half], picture[:, -half:])
    )
    norm = np.linalg.norm(left) * np.linalg.norm(right)
    same = norm > 0 and float((left * right).sum()) > TWICE * norm
    return np.ascontiguousarray(picture[:, -half:]) if same else picture
