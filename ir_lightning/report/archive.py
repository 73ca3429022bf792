"""What of a report may be kept and published: numbers and drawings, no picture of a data set."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ir_lightning.files import atomic_write
from ir_lightning.report.runs import Results, collect

KEPT = (
    "report.md",
    *(f"{table}.{form}" for table in ("table", "cells") for form in ("md", "csv", "tex")),
    *("figure.png", "figure.pdf"),
)
OF_RUN = ("config_hash", "git_commit", "dataset", "budget", "iterations", "protocol", "device")


def archive(folder: Path, place: Path) -> list[Path]:
    """Copy a written report into ``place``, with a row per run and one per test image beside it.

    ``runs.csv``: cell, seed, mean scores, what they were made with. ``images.csv``: cell, seed,
    image and its scores. The figure of photographs stays behind, as does the page with its
    pictures.

    Returns:
        The files written.

    Raises:
        UsageError: there is no index, or the runs do not compare.
    """
    results = collect(folder)
    photographs = results.report["kind"] == "photographs"
    names = [name for name in KEPT if not (photographs and name.startswith("figure"))]
    place.mkdir(parents=True, exist_ok=True)
    copied = [Path(shutil.copy(folder / n, place / n)) for n in names if (folder / n).exists()]
    tables = {"runs.csv": _runs(results), "images.csv": _images(results)}
    for name, rows in tables.items():
        if rows:
            _write(place / name, rows)
    return [*copied, *(place / name for name, rows in tables.items() if rows)]


def _runs(results: Results) -> list[dict[str, Any]]:
    return [
        {
            **group.cell,
            "seed": seed,
            "psnr": run.record["restored"]["psnr"],
            "ssim": run.record["restored"]["ssim"],
            "degraded_psnr": run.record["degraded"]["psnr"],
            "evaluation_side": run.side or "",
            "seconds": run.record["seconds"],
            "threads": run.record["threads"],
            **{key: run.record[key] for key in OF_RUN},
        }
        for group in results.groups
        for seed, run in sorted(group.runs.items())
        if run.finished
    ]


def _images(results: Results) -> list[dict[str, Any]]:
    return [
        {**group.cell, "seed": seed, "image": name, "psnr": psnr, "ssim": ssim}
        for group in results.groups
        for seed, run in sorted(group.runs.items())
        for name, psnr, ssim in zip(run.images, run.psnr, run.ssim, strict=True)
    ]


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with atomic_write(path) as file:
        table = csv.DictWriter(file, fieldnames=columns, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
