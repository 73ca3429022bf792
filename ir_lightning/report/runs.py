"""An experiment's runs as they are on disk: records, scores of test images, training curves.

Nothing but run directories and the experiment's index is read.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ir_lightning.errors import UsageError
from ir_lightning.report.index import read_index
from ir_lightning.runs.record import CURVE, budget_of, read_result
from ir_lightning.runs.scores import read_scores
from ir_lightning.statistics.comparison import Cell as Spread
from ir_lightning.statistics.comparison import cell as spread_of

Array = NDArray[np.float64]
Cell = dict[str, str]
"""What makes a cell different from the others of its experiment: ``{"depth": "3", ...}``."""


class NotMeasuredError(Exception):
    """There are no such scores, for the reason that the message says."""


@dataclass(frozen=True)
class Metric:
    """A metric as the runs' records describe it.

    Attributes:
        name: as in ``test_images.csv``.
        unit: ``dB`` or empty, if there is none.
        higher_is_better: its direction.
    """

    name: str
    unit: str
    higher_is_better: bool = True

    @property
    def heading(self) -> str:
        """Its name in capitals, such as ``PSNR`` or ``undegraded PSNR``."""
        *words, last = self.name.split("_")
        return " ".join([*words, last.upper()])

    @property
    def title(self) -> str:
        """The same with its unit: ``PSNR (dB)``."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading

    @property
    def sign(self) -> int:
        """1, or -1 where lower is better: what makes a score one of which more is better."""
        return 1 if self.higher_is_better else -1

    def text(self, value: float, sign: str = "") -> str:
        """A score with two digits in dB, else with four; a dash for NaN."""
        return "-" if math.isnan(value) else f"{value:{sign}.{2 if self.unit == 'dB' else 4}f}"


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a cell.

    Attributes:
        directory: where it lies.
        record: ``result.json``; empty before it has begun.
        scores: (I images, M metrics) of the restored test images by the run's protocol, in test
            order; NaN where a metric is not defined for an image; empty until finished.
        side: of the part of each image that was scored, in pixels; None: whole images.
    """

    directory: Path
    record: dict[str, Any]
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    side: int | None = None

    @property
    def finished(self) -> bool:
        """Whether it has scores."""
        return self.record.get("status") == "finished"

    def values(self, metric: str) -> Array:
        """(I,) scores.

        Raises:
            NotMeasuredError: the run was scored without this metric.
        """
        if metric not in self.scores:
            known = ", ".join(self.scores.columns) or "nothing"
            raise NotMeasuredError(
                f"{self.directory.name} was scored without {metric} (but with {known})"
            )
        return self.scores[metric].to_numpy(dtype=np.float64)

    def mean(self, metric: str) -> float:
        """Mean over the images for which the metric is defined; NaN where there are none."""
        defined = self.values(metric)
        defined = defined[~np.isnan(defined)]
        return float(np.mean(defined)) if len(defined) else math.nan


@dataclass(frozen=True)
class CellRuns:
    """All seeds of one cell."""

    cell: Cell
    runs: dict[int, Run] = field(default_factory=dict)

    @property
    def finished(self) -> list[Run]:
        """Its runs that have scores, by seed."""
        return [run for _, run in sorted(self.runs.items()) if run.finished]

    def matrix(self, metric: str = "psnr") -> Array:
        """(S, I) scores by seed; a run that has not finished is NaN for all images.

        Images for which the metric is not defined in every finished run are left out.

        Raises:
            NotMeasuredError: no run has finished, one lacks the metric, or no image has a score.
        """
        done = {seed: run.values(metric) for seed, run in self.runs.items() if run.finished}
        if not done:
            raise NotMeasuredError("no run has finished")
        known = ~np.isnan(np.array(list(done.values()))).any(axis=0)
        if not known.any():
            raise NotMeasuredError(f"{metric} is defined for no test image")
        missing = np.full(len(known), np.nan)
        return np.array([done.get(seed, missing)[known] for seed in sorted(self.runs)])

    def spread(self, metric: str = "psnr") -> Spread:
        """Mean over images and seeds, and standard deviation between seeds; NaN without scores."""
        try:
            return spread_of(self.matrix(metric))
        except NotMeasuredError:
            return Spread(math.nan, math.nan, 0)

    def matches(self, part: Mapping[str, Any]) -> bool:
        """Whether the cell has these values, as an experiment's file writes them."""
        return all(self.cell.get(key) == str(value) for key, value in part.items())


@dataclass(frozen=True)
class Results:
    """Everything that a report is made of."""

    folder: Path
    name: str
    title: str
    budget: str
    groups: list[CellRuns] = field(default_factory=list)

    def where(self, part: Mapping[str, Any]) -> list[CellRuns]:
        """The cells that have these values."""
        return [group for group in self.groups if group.matches(part)]

    def values(self, key: str) -> list[str]:
        """The values that cells have of a key, in the order of the cells.

        Raises:
            UsageError: no cell has the key.
        """
        values = list(dict.fromkeys(g.cell[key] for g in self.groups if key in g.cell))
        if self.groups and not values:
            keys = ", ".join(dict.fromkeys(key for g in self.groups for key in g.cell))
            raise UsageError(f"{self.name}: no cell has the key {key}; they have {keys or 'none'}.")
        return values

    @property
    def runs(self) -> list[Run]:
        """All of them, finished or not."""
        return [run for group in self.groups for _, run in sorted(group.runs.items())]

    def metric(self, name: str) -> Metric:
        """The unit and direction of a metric, as the records of the runs say.

        Where they do not, the unit is dB for a PSNR and nothing otherwise, and higher is better.
        """
        for run in self.runs:
            if described := run.record.get("metrics", {}).get(name):
                return Metric(name, described["unit"] or "", described["higher_is_better"])
        return Metric(name, "dB" if name.endswith("psnr") else "")


def read_run(directory: Path) -> Run:
    """Read a run directory; one that has not finished has no scores.

    Raises:
        UsageError: its scores cannot be read.
    """
    record = read_result(directory)
    if record.get("status") != "finished":
        return Run(directory, record)
    scores = read_scores(directory)
    scores = scores[scores["kind"] == "restored"]
    own = scores["protocol"] == record["protocol"]
    # A metric that was not scored by the run's protocol has one of its own.
    scores = scores[own | ~scores["metric"].isin(scores["metric"][own])]
    scores = scores.drop_duplicates(["image", "metric"])
    wide = scores.pivot(index="image", columns="metric", values="value")
    wide = wide.reindex(index=scores["image"].unique(), columns=scores["metric"].unique())
    return Run(directory, record, wide, budget_of(directory).get("evaluation_side"))


def collect(folder: Path) -> Results:
    """Read an experiment's index and the runs that it names.

    Raises:
        UsageError: there is no index, a run's table cannot be read, or scores do not compare.
    """
    index = read_index(folder)
    groups: dict[str, CellRuns] = {}
    for entry in index["runs"]:
        group = groups.setdefault(json.dumps(entry["cell"]), CellRuns(entry["cell"]))
        group.runs[int(entry["seed"])] = read_run((folder / entry["run"]).resolve())
    name, title, budget = (str(index[key]) for key in ("experiment", "title", "budget"))
    results = Results(folder, name, title, budget, list(groups.values()))
    _refuse_mixtures(results)
    return results


def _refuse_mixtures(results: Results) -> None:
    """Scores of different evaluations, test images or lengths never share a table."""
    by_data: dict[str, list[Run]] = {}
    for run in results.runs:
        if run.finished:
            by_data.setdefault(str(run.record["dataset"]), []).append(run)
    for dataset, runs in by_data.items():
        for what, values in _compared(runs).items():
            if len(values) > 1:
                (one, first), (other, second) = list(values.items())[:2]
                raise UsageError(
                    f"{results.name}: runs on {dataset} do not compare: their {what} differ, "
                    f"{one} in {first.name}, {other} in {second.name}."
                )


def _compared(runs: Sequence[Run]) -> dict[str, dict[str, Path]]:
    """Which values there are of everything that must be one, each with a run that has it."""
    keys: dict[str, Callable[[Run], Any]] = {
        "protocol": lambda run: run.record["protocol"],
        "test images": lambda run: run.record["splits"]["test"]["sha256"][:10],
        "numbers of test images": lambda run: run.record["images"],
        "scored parts of images": lambda run: run.side or "whole",
        # Records of earlier versions have none; the other keys compare those.
        "evaluations": lambda run: run.record.get("evaluation", ""),
        "budget": lambda run: run.record["budget"],
        "iterations": lambda run: run.record["iterations"],
    }
    return {
        what: {text: run.directory for run in reversed(runs) if (text := str(value_of(run)))}
        for what, value_of in keys.items()
    }


def number_of(group: CellRuns, key: str) -> float:
    """A cell's value of a key whose values are numbers.

    Raises:
        UsageError: it is none.
    """
    try:
        return float(group.cell[key])
    except (KeyError, ValueError):
        raise UsageError(f"{key}: the cell {group.cell} has no number there.") from None


def stacked(matrices: Iterable[Array]) -> Array:
    """(K, S, I) scores of cells from (S, I) each, NaN where a cell has fewer seeds."""
    rows = list(matrices)
    seeds, images = (max(row.shape[axis] for row in rows) for axis in (0, 1))
    scores = np.full((len(rows), seeds, images), np.nan)
    for place, row in zip(scores, rows, strict=True):
        place[: len(row), : row.shape[1]] = row
    return scores


Curve = tuple[Array, Array]
"""(N,) iterations and (N,) values."""


def read_curves(run_dir: Path) -> dict[str, Curve]:
    """Each column of ``metrics.csv``, where it has values; empty if no file can be read."""
    try:
        table = pd.read_csv(run_dir / CURVE, index_col="iteration", float_precision="round_trip")
        columns = {str(name): column.dropna().astype(float) for name, column in table.items()}
    except (OSError, ValueError):
        return {}
    return {
        name: (np.asarray(column.index, dtype=np.float64), np.asarray(column))
        for name, column in columns.items()
        if len(column)
    }
