"""What of a report may be kept and published: numbers and drawings, no picture of a data set."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from ir_lightning.files import atomic_write
from ir_lightning.report.content import Content
from ir_lightning.report.runs import Results, Run

KEPT = ("report.md", *(f"{n}.{form}" for n in ("table", "cells") for form in ("md", "csv", "tex")))
OF_RUN = ("config_hash", "git_commit", "dataset", "budget", "iterations", "protocol", "device")


def archive(results: Results, content: Content, place: Path) -> list[Path]:
    """Copy a written report into ``place``, with a row per run and one per test image beside it.

    ``runs.csv``: cell, seed, mean scores, what they were made with. ``images.csv``: cell, seed,
    image and its scores. A figure that shows images stays behind, as does the page with its
    pictures.

    Returns:
        The files written.
    """
    place.mkdir(parents=True, exist_ok=True)
    figures = [] if content.shows_images else [path.name for path in content.figures]
    names = [name for name in (*KEPT, *figures) if (results.folder / name).exists()]
    written = [Path(shutil.copy(results.folder / name, place / name)) for name in names]
    done = [
        ({**group.cell, "seed": seed}, run)
        for group in results.groups
        for seed, run in group.runs.items()
        if run.finished
    ]
    if not done:
        return written
    runs = pd.DataFrame([_line(cell, run) for cell, run in done], dtype=object)
    images = pd.concat([run.scores.reset_index().assign(**cell) for cell, run in done])
    keys = [key for group in results.groups for key in group.cell]
    first = [*dict.fromkeys(keys), "seed", "image"]
    images = images[[*first, *(name for name in images if name not in first)]]
    for name, table in (("runs.csv", runs), ("images.csv", images)):
        with atomic_write(place / name) as file:
            table.to_csv(file, index=False, lineterminator="\n")
        written.append(place / name)
    return written


def _line(cell: dict[str, Any], run: Run) -> dict[str, Any]:
    """A run's row; ``cell`` has the seed, too."""
    return {
        **cell,
        **run.record["restored"],
        **{f"degraded_{name}": value for name, value in run.record["degraded"].items()},
        "evaluation_side": run.side,
        "seconds": run.record["seconds"],
        "threads": run.record["threads"],
        **{key: run.record[key] for key in OF_RUN},
    }
