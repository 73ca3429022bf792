"""An experiment's runs as they are on disk: records, scores of test images, training curves.

Nothing but run directories and the experiment's index is read.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ir_lightning.errors import UsageError
from ir_lightning.runs.record import CURVE, TEST_IMAGES, budget_of, read_result

INDEX = "experiment.json"
Array = NDArray[np.float64]
Cell = dict[str, str]


@dataclass(frozen=True)
class Run:
    """One run of a cell.

    Attributes:
        directory: where it lies.
        record: ``result.json``; empty before it has begun.
        psnr, ssim: (I,) of the restored test images in order of ``images``; empty until finished.
        images: names.
        side: of the part of each image that was scored, in pixels; None: whole images.
    """

    directory: Path
    record: dict[str, Any]
    psnr: Array
    ssim: Array
    images: list[str]
    side: int | None = None

    @property
    def finished(self) -> bool:
        """Whether it has scores."""
        return self.record.get("status") == "finished"


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
        """(S, I) scores; a run that has none is NaN."""
        done = self.finished
        width = len(done[0].images) if done else 0
        rows = [
            getattr(run, metric) if run.finished else np.full(width, np.nan)
            for _, run in sorted(self.runs.items())
        ]
        return np.array(rows)

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
    report: dict[str, Any]
    groups: list[CellRuns]
    found: list[dict[str, Any]] = field(default_factory=list)
    """What an experiment without runs has found out."""

    def where(self, part: Mapping[str, Any]) -> list[CellRuns]:
        """The cells that have these values."""
        return [group for group in self.groups if group.matches(part)]


def read_run(directory: Path) -> Run:
    """A run directory; one that has not finished has no scores."""
    record = read_result(directory)
    nothing = np.empty(0)
    if record.get("status") != "finished":
        return Run(directory, record, nothing, nothing, [])
    try:
        with (directory / TEST_IMAGES).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        scores = [np.array([float(r[f"restored_{m}"]) for r in rows]) for m in ("psnr", "ssim")]
        names = [row["name"] for row in rows]
        side = budget_of(directory).get("evaluation_side")
        return Run(directory, record, scores[0], scores[1], names, side)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{directory / TEST_IMAGES}: cannot be read ({error}).") from None


def collect(folder: Path) -> Results:
    """Read an experiment's index and the runs that it names.

    Raises:
        UsageError: there is no index, a run's table cannot be read, or scores do not compare.
    """
    path = folder / INDEX
    try:
        index = json.loads(path.read_text("utf-8"))
        entries = index["runs"]
    except (OSError, ValueError, KeyError):
        raise UsageError(
            f"{path}: no index of an experiment; `ir-lightning experiment NAME` writes one."
        ) from None
    groups: dict[str, CellRuns] = {}
    for entry in entries:
        group = groups.setdefault(json.dumps(entry["cell"]), CellRuns(entry["cell"]))
        group.runs[int(entry["seed"])] = read_run((folder / entry["run"]).resolve())
    name, title, budget = (str(index[key]) for key in ("experiment", "title", "budget"))
    known, found = _ordered(list(groups.values()), index["report"]), index.get("found", [])
    results = Results(folder, name, title, budget, index["report"], known, found)
    _refuse_mixtures(results)
    return results


def _ordered(groups: list[CellRuns], report: dict[str, Any]) -> list[CellRuns]:
    """What stands in one column together, in the order of the labels; else as trained."""
    if "columns" not in report:
        return groups
    column, row = report["columns"], report.get("rows")
    if not isinstance(row, str):
        raise UsageError(f"A report with columns: {column} needs rows, the key of its methods.")
    columns = list(dict.fromkeys(group.cell[column] for group in groups))
    rows = [*report.get("labels", {}), *(group.cell[row] for group in groups)]
    return sorted(groups, key=lambda g: (columns.index(g.cell[column]), rows.index(g.cell[row])))


def _refuse_mixtures(results: Results) -> None:
    """Scores of different protocols, test images or lengths never share a table."""
    by_data: dict[str, list[Run]] = {}
    for group in results.groups:
        for run in group.finished:
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
    keys = {
        "protocol": lambda run: run.record["protocol"],
        "test images": lambda run: run.record["splits"]["test"]["sha256"][:10],
        "numbers of test images": lambda run: run.record["images"],
        "scored parts of images": lambda run: run.side or "whole",
        "budget": lambda run: run.record["budget"],
        "iterations": lambda run: run.record["iterations"],
    }
    return {
        what: {str(value_of(run)): run.directory for run in reversed(runs)}
        for what, value_of in keys.items()
    }


def stacked(groups: Iterable[CellRuns], metric: str = "psnr") -> Array:
    """(K, S, I) scores of cells, padded with NaN where a cell has fewer seeds."""
    rows = [group.matrix(metric) for group in groups]
    seeds = max(len(row) for row in rows)
    images = max(row.shape[1] for row in rows)
    scores = np.full((len(rows), seeds, images), np.nan)
    for place, row in zip(scores, rows, strict=True):
        if row.size:
            place[: len(row)] = row
    return scores


Curve = tuple[Array, Array]
"""(N,) iterations and (N,) values."""


def read_curves(run_dir: Path) -> dict[str, Curve]:
    """Each column of ``metrics.csv``, where it has values; empty if no file can be read."""
    try:
        with (run_dir / CURVE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = {}
        for name in rows[0] if rows else ():
            points = [(float(r["iteration"]), float(r[name])) for r in rows if r.get(name)]
            if points:
                x, y = np.array(points).T
                found[name] = (x, y)
        return found
    except (OSError, ValueError, KeyError):
        return {}
