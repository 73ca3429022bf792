"""Data sets as published, and on disk as ``CountImages`` has counted them: the paper's Table IV."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from ir_lightning.report.claims import UNDECIDED, ReportClaim, Verdict
from ir_lightning.report.content import ReportKind
from ir_lightning.report.index import read_index
from ir_lightning.report.runs import Results

COUNTS = "inventory.json"
PARTS = ("training", "test")
ABSENT = "not there"
SIZES = "Sizes: the smallest, the median and the largest image by area, width x height."
SYNTHETIC = (
    "Synthetic data sets are this project's own and no part of the paper's table; they stand in "
    "for the benchmarks where a run asks for them."
)

Counted = Mapping[str, Any]  #: A data set, see :class:`ir_lightning.cli.CountImages`.
Published = Mapping[str, Mapping[str, Any]]
"""``training`` and ``test``, numbers of pairs, and ``task`` and ``composition`` by data set."""


def read_counts(folder: Path) -> list[Counted]:
    """The data sets that were counted for an experiment; an earlier version's index has them."""
    try:
        return list(json.loads((folder / COUNTS).read_text("utf-8")))
    except (OSError, ValueError):
        return list(read_index(folder).get("found", []))


@dataclass(frozen=True, kw_only=True)
class InventoryTable(ReportKind):
    """A row for each data set."""

    paper: Published = field(default_factory=dict)

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        lines = [_line(self.paper, counted) for counted in read_counts(results.folder)]
        return {"table": pd.DataFrame(lines)}

    def notes(self, results: Results) -> list[str]:
        counts = read_counts(results.folder)
        notes = [*super().notes(results), SIZES]
        if any(counted["stands_in"] for counted in counts):
            notes.append(SYNTHETIC)
        return notes + [f"{one['dataset']}: {why}" for one in counts for why in _reasons(one)]


@dataclass(frozen=True, kw_only=True)
class CountsAsPublished(ReportClaim):
    """Every data set of the paper has its published numbers of pairs."""

    published: Published
    sampled: ClassVar[bool] = False

    def places(self, results: Results) -> Iterable[str]:
        counts = read_counts(results.folder)
        return [str(one["dataset"]) for one in counts if one["dataset"] in self.published]

    def verdict(self, results: Results, place: str) -> Verdict:
        """One wrong count refutes; without one, what could not be counted leaves it open."""
        (counted,) = (one for one in read_counts(results.folder) if one["dataset"] == place)
        published = self.published[place]
        counts = {part: counted.get(part, {}).get("pairs") for part in PARTS}
        reason = ", ".join(
            f"{part} {_number(published[part])} in the paper, {_count(counted, part)} here"
            for part in PARTS
        )
        if any(n not in (None, published[part]) for part, n in counts.items()):
            return "not supported", reason
        return UNDECIDED if None in counts.values() else "supported", reason


def _line(paper: Published, counted: Counted) -> dict[str, str]:
    name, stands_in = counted["dataset"], counted["stands_in"]
    published = paper.get(name, {})
    model = paper.get(stands_in[0], {}) if stands_in else published
    training, test = (counted.get(part, {}) for part in PARTS)
    return {
        "data set": f"{name} (synthetic, for {', '.join(stands_in)})" if stands_in else name,
        "task": str(model.get("task", "-")),
        "composition": str(model.get("composition", "-")),
        "training, paper": _number(published.get("training")),
        "training, found": _count(counted, "training"),
        "of it held out": _number(training.get("held_out")),
        "test, paper": _number(published.get("test")),
        "test, found": _count(counted, "test"),
        "crop (px)": str(counted["crop"]),
        "training below crop": _number(training.get("below")),
        "training sizes (px)": _sizes(training),
        "test sizes (px)": _sizes(test),
    }


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _count(counted: Counted, part: str) -> str:
    there = counted if "absent" in counted else counted[part]
    if "absent" in there:
        return ABSENT
    return _number(there["pairs"]) if "pairs" in there else "refused"


def _sizes(part: Mapping[str, Any]) -> str:
    sizes = list(dict.fromkeys(f"{width}x{height}" for width, height in part.get("sizes", [])))
    return ", ".join(sizes) or "-"


def _reasons(counted: Counted) -> list[str]:
    """Why something could not be counted; training and test may say the same."""
    places = [counted, *(counted.get(part, {}) for part in PARTS)]
    reasons = [place.get(why) for place in places for why in ("absent", "refused")]
    return list(dict.fromkeys(reason for reason in reasons if reason))
