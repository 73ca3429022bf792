"""An experiment's runs as they are on disk: records, scores of test images, training curves."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.report.index import read_index
from ir_lightning.runs.record import (
    CEILING,
    CURVE,
    budget_of,
    metric_label,
    metrics_of,
    read_result,
)
from ir_lightning.runs.scores import read_scores
from ir_lightning.statistics.effects import Array
from ir_lightning.statistics.effects import Cell as Spread
from ir_lightning.statistics.effects import cell as spread_of

Cell = dict[str, str]
"""What makes a cell different from the others of its experiment: ``{"depth": "3", ...}``."""


class NotMeasuredError(Exception):
    """There are no such scores, for the reason that the message says."""


@dataclass(frozen=True)
class ReportedMetric:
    """A metric by its name in ``test_images.csv``, as the runs' records describe it."""

    name: str
    unit: str  #: ``dB``, or empty.
    higher_is_better: bool = True

    @property
    def title(self) -> str:
        """``PSNR (dB)``."""
        return metric_label(self.name, self.unit)

    @property
    def sign(self) -> int:
        return 1 if self.higher_is_better else -1

    def words(self, value: float) -> str:
        """``PSNR 25.10 dB``."""
        return f"{metric_label(self.name, '')} {self.text(value)} {self.unit}".rstrip()

    def text(self, value: float, sign: str = "") -> str:
        """A score with two digits in dB, else with four; a dash for NaN."""
        return "-" if math.isnan(value) else f"{value:{sign}.{2 if self.unit == 'dB' else 4}f}"


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a cell."""

    directory: Path
    record: dict[str, Any]  #: ``result.json``; empty before it has begun.
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    """(I images, M metrics) of the restored test images by the run's protocol, in test order; NaN
    where a metric is not defined for an image; empty until finished."""
    scenes: "pd.Series[str]" = field(default_factory=lambda: pd.Series(dtype=str))
    """(I,) what each image shows; images of one scene are averaged before anything is judged."""
    side: int | None = None
    """Of the part of each image that was scored, in pixels; None: whole images."""

    @property
    def finished(self) -> bool:
        return self.record.get("status") == "finished"

    @property
    def iterations(self) -> int:
        """Of the training and of what it began with."""
        return int(self.record["iterations"]) + int(self.record.get("pretrained", 0))

    def values(self, metric: str) -> "pd.Series[float]":
        """(I,) scores by the names of the images; NotMeasuredError without this metric.

        A PSNR is at most :data:`.CEILING`.
        """
        if metric not in self.scores:
            lack = f"without {metric} (but with {', '.join(self.scores.columns) or 'nothing'})"
            raise NotMeasuredError(f"{self.directory.name} was scored {lack}")
        scores = self.scores[metric]
        return scores.clip(upper=CEILING) if metric.endswith("psnr") else scores

    def mean(self, metric: str) -> float:
        """Mean over the images for which the metric is defined; NaN without any."""
        defined = self.values(metric).dropna().to_numpy()
        return float(np.mean(defined)) if len(defined) else math.nan


@dataclass(frozen=True)
class CellRuns:
    """All seeds of one cell."""

    cell: Cell
    runs: dict[int, Run] = field(default_factory=dict)  #: By seed, rising.

    @property
    def finished(self) -> list[Run]:
        return [run for run in self.runs.values() if run.finished]

    @property
    def seeds(self) -> str:
        """How many of its runs have scores: ``2/3``."""
        return f"{len(self.finished)}/{len(self.runs)}"

    @property
    def trained_on(self) -> str:
        """The data set of its runs; empty before one has finished."""
        return next((str(run.record["dataset"]) for run in self.finished), "")

    @property
    def gain(self) -> float | None:
        """dB of PSNR over the degraded input, mean over runs; None where that had lost nothing."""
        gains = []
        for run in self.finished:
            degraded = float(run.record.get("degraded", {}).get("psnr", math.inf))
            if "psnr" in run.scores and degraded < CEILING:
                gains.append(run.mean("psnr") - degraded)
        return sum(gains) / len(gains) if gains else None

    def by_image(self, metric: str) -> pd.DataFrame:
        """(I, S) scores by image and seed, of the images for which every finished run has one.

        Raises:
            NotMeasuredError: no run has finished, one lacks the metric, or no image has a score.
        """
        done = {seed: run.values(metric) for seed, run in self.runs.items() if run.finished}
        if not done:
            raise NotMeasuredError("no run has finished")
        scores = pd.DataFrame(done).dropna()
        if scores.empty:
            raise NotMeasuredError(f"{metric} is defined for no test image")
        return scores.reindex(columns=[*self.runs])

    def matrix(self, metric: str = "psnr") -> Array:
        """(S, I) scores by seed and scene, see :func:`matrices`."""
        return matrices([self], metric)[0]

    def spread(self, metric: str = "psnr") -> Spread:
        """Mean over scenes and seeds, and standard deviation between seeds; NaN without scores."""
        try:
            return spread_of(self.matrix(metric))
        except NotMeasuredError:
            return Spread(math.nan, math.nan, 0)

    def number(self, key: str) -> float:
        """The cell's value of a key as a number; UsageError if it is none."""
        try:
            return float(self.cell[key])
        except (KeyError, ValueError):
            raise UsageError(f"{key}: the cell {self.cell} has no number there.") from None


def matrices(groups: Sequence[CellRuns], metric: str) -> list[Array]:
    """(S, I) scores of each cell by seed and scene, from :func:`by_scene`."""
    return arrays(by_scene(groups, metric))


def arrays(tables: Sequence[pd.DataFrame]) -> list[Array]:
    """(S, I) of each table (I, S)."""
    return [np.ascontiguousarray(table.T, dtype=np.float64) for table in tables]


def by_scene(groups: Sequence[CellRuns], metric: str) -> list[pd.DataFrame]:
    """(I, S) scores of each cell by scene and seed, NaN for a run that has not finished.

    Scenes are the same in all cells, in one order: means over the images of each, of those that
    every finished run of every cell has a score for.

    Raises:
        NotMeasuredError: as :meth:`CellRuns.by_image`, or the cells share no image.
    """
    tables = [group.by_image(metric) for group in groups]
    images = [i for i in tables[0].index if all(i in table.index for table in tables)]
    if not images:
        raise NotMeasuredError(f"the cells share no image for which {metric} is defined")
    scenes = groups[0].finished[0].scenes[images]
    for run in (run for group in groups for run in group.finished):
        if not run.scenes[images].equals(scenes):
            told = f"{run.directory.name} says differently which images show one scene"
            raise NotMeasuredError(f"{told}: evaluate all runs with one version")
    if any(np.isinf(table.loc[images].to_numpy()).any() for table in tables):
        raise NotMeasuredError(f"{metric} is infinite for some images: a restored one is broken")
    return [table.loc[images].groupby(scenes, sort=False).mean() for table in tables]


@dataclass(frozen=True)
class Results:
    """Everything that a report is made of."""

    folder: Path
    name: str
    title: str
    budget: str
    groups: list[CellRuns] = field(default_factory=list)

    def where(self, part: Mapping[str, Any]) -> list[CellRuns]:
        """The cells that have these values, as an experiment's file writes them."""
        values = {key: str(value) for key, value in part.items()}.items()
        return [group for group in self.groups if values <= group.cell.items()]

    def values(self, key: str) -> list[str]:
        """The values of a key, in the order of the cells; UsageError if no cell has it."""
        values = list(dict.fromkeys(g.cell[key] for g in self.groups if key in g.cell))
        if self.groups and not values:
            keys = ", ".join(dict.fromkeys(key for g in self.groups for key in g.cell))
            raise UsageError(f"{self.name}: no cell has the key {key}; they have {keys or 'none'}.")
        return values

    @property
    def runs(self) -> list[Run]:
        return [run for group in self.groups for run in group.runs.values()]

    @property
    def finished(self) -> list[Run]:
        return [run for run in self.runs if run.finished]

    def metric(self, name: str) -> ReportedMetric:
        """A metric as the records say, or else in dB for a PSNR, and higher is better."""
        for run in self.runs:
            if described := metrics_of(run.record).get(name):
                return ReportedMetric(name, described["unit"] or "", described["higher_is_better"])
        return ReportedMetric(name, "dB" if name.endswith("psnr") else "")


def read_run(directory: Path) -> Run:
    """Read a run directory, without scores before it has finished; UsageError for damaged ones."""
    record = read_result(directory)
    if record.get("status") != "finished":
        return Run(directory, record)
    scores = read_scores(directory).query("kind == 'restored'")
    own = scores["protocol"] == record["protocol"]
    # A metric that was not scored by the run's protocol has one of its own.
    scores = scores[own | ~scores["metric"].isin(scores["metric"][own])]
    scores = scores.drop_duplicates(["image", "metric"])
    wide = scores.pivot(index="image", columns="metric", values="value")
    wide = wide.reindex(index=scores["image"].unique(), columns=scores["metric"].unique())
    scenes = scores.drop_duplicates("image").set_index("image")["scene"]
    return Run(directory, record, wide, scenes, budget_of(directory).get("evaluation_side"))


def collect(folder: Path) -> Results:
    """Read an experiment's index and the runs that it names.

    Raises:
        UsageError: there is no index, a run's table cannot be read, or scores do not compare.
    """
    index = read_index(folder)
    cells: dict[str, dict[int, Run]] = {}
    for entry in index["runs"]:
        run = read_run((folder / entry["run"]).resolve())
        cells.setdefault(json.dumps(entry["cell"]), {})[int(entry["seed"])] = run
    groups = [CellRuns(json.loads(cell), dict(sorted(of.items()))) for cell, of in cells.items()]
    name, title, budget = (str(index[key]) for key in ("experiment", "title", "budget"))
    results = Results(folder, name, title, budget, groups)
    _refuse_mixtures(results)
    return results


def _refuse_mixtures(results: Results) -> None:
    """Scores of different evaluations, test images or lengths never share a table.

    Equally long is as long by itself, or together with what a run was pre-trained by.
    """
    lengths: dict[str, set[int]] = {}
    for run in results.finished:
        lengths.setdefault(run.record["dataset"], set()).add(run.record["iterations"])
    rows = [
        {
            "run": run.directory.name,
            "data set": run.record["dataset"],
            "protocol": run.record["protocol"],
            "test images": run.record["splits"]["test"]["sha256"][:10],
            "numbers of test images": run.record["images"],
            "scored parts of images": run.side or "whole",
            # Records of earlier versions have none; the other columns compare those.
            "evaluations": run.record.get("evaluation"),
            "budget": run.record["budget"],
            "iterations": run.record["iterations"]
            if len(lengths[run.record["dataset"]]) == 1
            else run.iterations,
        }
        for run in results.finished
    ]
    for dataset, table in pd.DataFrame(rows, dtype=object).groupby("data set") if rows else ():
        for what in table.columns[2:]:
            different = table.dropna(subset=what).drop_duplicates(what)
            if len(different) > 1:
                (one, first), (other, second) = different[[what, "run"]].to_numpy()[:2]
                raise UsageError(
                    f"{results.name}: runs on {dataset} do not compare: their {what} differ, "
                    f"{one} in {first}, {other} in {second}."
                )


def read_curves(run_dir: Path) -> pd.DataFrame:
    """``metrics.csv`` by iteration, NaN where a column has no value; empty if it cannot be read."""
    try:
        curves = pd.read_csv(run_dir / CURVE, index_col="iteration", float_precision="round_trip")
        return curves.astype(np.float64)
    except (OSError, ValueError):
        return pd.DataFrame()
