"""What of a report may be kept and published: numbers and drawings, no picture of a data set."""

import shutil
from pathlib import Path

import pandas as pd

from ir_lightning.files import atomic_write
from ir_lightning.report.content import Content
from ir_lightning.report.runs import Results

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
    for name, table in (("runs.csv", _runs(results)), ("images.csv", _images(results))):
        if len(table):
            with atomic_write(place / name) as file:
                table.to_csv(file, index=False, lineterminator="\n")
            written.append(place / name)
    return written


def _runs(results: Results) -> pd.DataFrame:
    rows = [
        {
            **group.cell,
            "seed": seed,
            **run.record["restored"],
            **{f"degraded_{name}": value for name, value in run.record["degraded"].items()},
            "evaluation_side": run.side,
            "seconds": run.record["seconds"],
            "threads": run.record["threads"],
            **{key: run.record[key] for key in OF_RUN},
        }
        for group in results.groups
        for seed, run in sorted(group.runs.items())
        if run.finished
    ]
    return pd.DataFrame(rows, dtype=object)


def _images(results: Results) -> pd.DataFrame:
    tables = [
        run.scores.reset_index().assign(**group.cell, seed=seed)
        for group in results.groups
        for seed, run in sorted(group.runs.items())
        if run.finished
    ]
    if not tables:
        return pd.DataFrame()
    table = pd.concat(tables)
    first = [*dict.fromkeys(key for group in results.groups for key in group.cell), "seed", "image"]
    return table[[*first, *(name for name in table if name not in first)]]
