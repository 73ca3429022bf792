"""Numbers that were kept of a report, see :func:`.write.archive`, as they are read from runs."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.report.runs import CellRuns, Results, Run

RUNS, IMAGES = "runs.csv", "images.csv"
NUMBERS = ("psnr", "ssim")  # all that was kept by versions that kept no scenes


def read_kept(folder: Path) -> Results:
    """The runs of a folder of kept numbers, each with its scores by image.

    Raises:
        UsageError: there are no such files, or they are damaged.
    """
    try:
        runs, images = (
            pd.read_csv(folder / name, dtype=str, keep_default_na=False) for name in (RUNS, IMAGES)
        )
        return _results(folder, runs, images)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{folder}: no numbers of a report that was kept ({error}).") from None


def _results(folder: Path, runs: pd.DataFrame, images: pd.DataFrame) -> Results:
    columns = list(images.columns)
    metrics = columns[columns.index("scene") + 1 :] if "scene" in columns else list(NUMBERS)
    keys = [key for key in columns if key not in ("seed", "image", "scene", *metrics)]
    if len(set(runs["dataset"])) == 1:  # of a run, and of no cell
        keys = [key for key in keys if key != "dataset"]
    groups: dict[str, CellRuns] = {}
    for values, table in images.groupby([*keys, "seed"], sort=False):
        own = dict(zip([*keys, "seed"], map(str, values), strict=True))
        (record,) = runs[(runs[list(own)] == pd.Series(own)).all(axis=1)].to_dict("records")
        seed, cell = int(own.pop("seed")), {key: value for key, value in own.items() if value}
        known: dict[str, Any] = {
            "status": "finished",
            "dataset": record["dataset"],
            "iterations": int(record["iterations"]),
            "degraded": {"psnr": record["degraded_psnr"]},
        }
        if "pretrained" in record:  # with iterations before its own
            known["pretrained"] = int(record["pretrained"])
        table = table.set_index("image")
        if "scene" not in table:
            table["scene"] = [scene_of(image, record["dataset"]) for image in table.index]
        scores = table[metrics].apply(pd.to_numeric)
        run = Run(folder / record["config_hash"], known, scores, table["scene"])
        groups.setdefault(json.dumps(cell), CellRuns(cell)).runs[seed] = run
    cells = [CellRuns(group.cell, dict(sorted(group.runs.items()))) for group in groups.values()]
    name = folder.name.partition("-")[0]
    return Results(folder, name, name, str(runs["budget"].iloc[0]), cells)


def scene_of(image: str, dataset: str) -> str:
    """What an image shows, where only its name was kept.

    Of Rain800 it stands in the package's table; of synthetic data it is the photograph in the name.
    """
    if dataset != "rain800":
        return image.rsplit("-", 1)[0]
    table = files("ir_lightning.data.benchmarks") / "rain800_scenes.json"
    groups = json.loads(table.read_text("utf-8"))["test_syn"]
    return next((str(group[0]) for group in groups if int(image) in group), image)
