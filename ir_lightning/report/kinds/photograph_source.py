"""The photographs of a figure: real ones from a folder, or the test images of the runs."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.ndimage import uniform_filter

from ir_lightning.build import TRAININGS, build, refuse_untrusted
from ir_lightning.data.dataset import EvaluationPairs
from ir_lightning.data.image_files import list_images, read_image
from ir_lightning.data.pair_maker import Pair, PairMaker, to_pixels
from ir_lightning.data.samples import Image
from ir_lightning.errors import UsageError
from ir_lightning.report.runs import Run
from ir_lightning.training.weights import CONFIG_FILE

TWICE = 0.5
"""Correlation of two halves' horizontal detail above which they are one picture. Measured on 28
photographs of test_nature: 0.96 and more between the halves, below 0.05 within one of them."""


@dataclass(frozen=True)
class Photograph:
    """(H, W, 3) as it was taken, and clean where that is known."""

    name: str
    degraded: Image
    clean: Image | None


def real(folder: Path, count: int, wanted: Collection[str] = ()) -> list[Photograph]:
    """Photographs of a folder: those wanted by name, and others spread evenly over it.

    A picture that shows one photograph in both halves, as Rain800's test_nature does, counts as
    its right half.

    Args:
        folder: holds the images.
        count: how many, unless more are wanted.
        wanted: file names, with or without their extensions.

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
    return [Photograph(path.name, _once(read_image(path)), None) for path in chosen]


def of_test_set(run: Run, count: int) -> tuple[str, list[Photograph]]:
    """Test images of a run, with the degradations that it was scored on, spread evenly.

    Returns:
        What they are, in words, and the images.

    Raises:
        UsageError: its configuration cannot be read, names other classes than those of this
            package, or its images are no longer there.
    """
    config = run_config(run)
    dataset, side = config["dataset"], config["budget"].get("evaluation_side")
    refuse_untrusted(dataset, run.directory / CONFIG_FILE, TRAININGS)
    source = build(dataset["test"], "dataset.test")
    composition = dataset["composition"] and build(dataset["composition"], "dataset.composition")
    make = PairMaker(composition, "degraded")
    pairs = EvaluationPairs(source, make, run.record["images"], side)
    kind = "paired" if composition is None else "synthetic"
    shown = [_photograph(pairs[place]) for place in _spread(len(pairs), count)]
    return f"{kind} test images of {run.record['dataset']}, not real photographs", shown


def run_config(run: Run) -> dict[str, Any]:
    """A run's ``config.yaml``.

    Raises:
        UsageError: it cannot be read.
    """
    path = run.directory / CONFIG_FILE
    try:
        config: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: the configuration cannot be read ({error}).") from None
    return config


def _spread(there: int, count: int) -> Iterable[int]:
    """``count`` of the places 0 .. there - 1 from the first to the last, or all that there are."""
    count = max(0, min(count, there))
    return [int(place) for place in np.linspace(0, there - 1, count).round()]


def _once(picture: Image) -> Image:
    """(H, W, 3): the right half of a picture that shows the same in both, else the picture."""
    half = picture.shape[1] // 2
    if half < 2:
        return picture
    left, right = (_across(part) for part in (picture[:, :half], picture[:, -half:]))
    norm = np.linalg.norm(left) * np.linalg.norm(right)
    same = norm > 0 and float((left * right).sum()) > TWICE * norm
    return np.ascontiguousarray(picture[:, -half:]) if same else picture


def _across(image: Image) -> Any:
    """(H, W - 1): how the grey value, without its noise, changes from column to column."""
    return np.diff(uniform_filter(image.mean(axis=2), size=3), axis=1)


def _photograph(pair: Pair) -> Photograph:
    images = (to_pixels(pair[kind]) for kind in ("degraded", "clean"))
    return Photograph(pair["name"], *images)
