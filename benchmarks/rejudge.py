"""Kept results by today's rules: what of their verdicts stands.

    python -m benchmarks.rejudge            # writes experiments/results/rejudged.md

From ``runs.csv`` and ``images.csv`` of each folder, by the claims of the experiment's file. Their
images do not say which scene they show: of synthetic data it is the photograph in their name, of
Rain800 it stands in the package's table. Claims about training curves, which were not kept, and
about cells that there were not yet, are left out.
"""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from ir_lightning.build import build
from ir_lightning.report.claims import ScoreClaim, judge
from ir_lightning.report.experiment import Experiment
from ir_lightning.report.runs import CellRuns, Results, Run

RESULTS = Path(__file__).parents[1] / "experiments" / "results"
NUMBERS = ("psnr", "ssim")
PRETRAINED = 1000  # iterations of reconstruction that fig7's pre-trained runs began with
UNSAID: dict[str, dict[str, str]] = {
    "infoaccum": {"enhancer.norm": "instance", "enhancer.keep_input": "True"},
    "dense": {"enhancer.norm": "instance", "enhancer.keep_input": "True"},
    "residual_matched": {"enhancer.norm": "instance", "enhancer.keep_input": "False"},
    "context_dilated_matched": {"enhancer.norm": "none", "enhancer.keep_input": "False"},
    "recursive_matched": {"enhancer.norm": "none", "enhancer.keep_input": "False"},
    "scan_matched": {"enhancer.keep_input": "False"},
    "attention_matched": {"enhancer.keep_input": "True"},
}
"""What fig14's cells say of their enhancers since they are compared like with like."""


def scene_of(image: str, dataset: str) -> str:
    """What a kept image shows."""
    if dataset != "rain800":
        return image.rsplit("-", 1)[0]
    table = files("ir_lightning.data.benchmarks") / "rain800_scenes.json"
    groups = json.loads(table.read_text("utf-8"))["test_syn"]
    return next((str(group[0]) for group in groups if int(image) in group), image)


def read(folder: Path) -> Results:
    """The kept runs of a folder, as a report reads them from run directories."""
    runs = pd.read_csv(folder / "runs.csv", dtype=str, keep_default_na=False)
    images = pd.read_csv(folder / "images.csv", dtype=str, keep_default_na=False)
    keys = [key for key in images.columns if key not in ("seed", "image", *NUMBERS)]
    if "dataset" in runs and len(set(runs["dataset"])) == 1:
        keys = [key for key in keys if key != "dataset"]
    groups: dict[str, CellRuns] = {}
    for values, table in images.groupby([*keys, "seed"], sort=False):
        own = dict(zip([*keys, "seed"], values, strict=True))
        (record,) = runs[(runs[list(own)] == pd.Series(own)).all(axis=1)].to_dict("records")
        seed, cell = int(own.pop("seed")), {key: value for key, value in own.items() if value}
        known: dict[str, Any] = {
            "status": "finished",
            "dataset": record["dataset"],
            "iterations": int(record["iterations"]),
            "degraded": {"psnr": record["degraded_psnr"]},
        }
        if cell.get("pretrain") == "reconstruction":
            known["pretrained"] = PRETRAINED
        scores = table.set_index("image")[[*NUMBERS]].astype(float)
        scenes = pd.Series([scene_of(i, record["dataset"]) for i in scores.index], scores.index)
        run = Run(folder / record["config_hash"], known, scores, scenes)
        groups.setdefault(json.dumps(cell), CellRuns(cell)).runs[seed] = run
    name = folder.name.partition("-")[0]
    unsaid = UNSAID if name == "fig14" else {}
    cells = []
    for group in groups.values():
        cell = group.cell | unsaid.get(group.cell.get("enhancer", ""), {})
        cells.append(CellRuns(cell, dict(sorted(group.runs.items()))))
    return Results(folder, name, name, "cpu", cells)


def there(claim: ScoreClaim, results: Results) -> bool:
    """Whether the cells are among the kept ones, of a claim that names two."""
    return all(results.where(getattr(claim, side, {})) for side in ("a", "b"))


def text() -> str:
    """The page ``rejudged.md``."""
    lines = [
        "# The kept results by today's rules",
        "",
        "Made by `python -m benchmarks.rejudge` from each folder's `runs.csv` and `images.csv`:",
        "scenes, not files, are the unit (synthetic test images show two photographs, the 100 of",
        "Rain800 76), claims of a file are one family or as many as it declares, and networks that",
        "have not passed their degraded input are not compared (En/Decoder, which loses detail",
        "whatever it learns, is). Claims about cells that were not run then are left out.",
    ]
    for folder in sorted(path.parent for path in RESULTS.glob("*/*/images.csv")):
        results = read(folder)
        report = build(Experiment.named(results.name).report, "report")
        scored = [claim for claim in report.claims if isinstance(claim, ScoreClaim)]
        claims = [claim for claim in scored if there(claim, results)]
        lines += ["", f"## {folder.parent.name}/{folder.name}", ""]
        for judged in judge(claims, results):
            where = f" ({judged.where})" if judged.where else ""
            lines.append(f"- {judged.says}{where}: **{judged.verdict}**. {judged.reason}")
    return "\n".join(lines) + "\n"


def main() -> None:
    (RESULTS / "rejudged.md").write_text(text(), "utf-8")
    print(text())


if __name__ == "__main__":
    main()
