"""What a report is made of, and what every kind of report and every figure has."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pandas as pd

from ir_lightning.report.claims import ReportClaim
from ir_lightning.report.judging import Judged, judge
from ir_lightning.report.runs import Cell, CellRuns, Results, Run
from ir_lightning.runs.record import CEILING, speed_of

SMALL_RUN = "A small run: its numbers do not compare with the paper's."
CAUTION = (
    "verdicts in {families}: in at most 5 % of repetitions is any of a family called supported and "
    "not true (Holm). Each limit is missed in at most 5 % of repetitions by any of them "
    "(Bonferroni), for which limits are a little wider than verdicts. What a difference sees is "
    "the true value that is called supported in 80 % of repetitions."
)


def cell_name(cell: Cell, keys: Iterable[str], labels: Mapping[str, str]) -> str:
    """A cell by its values of some keys, each by its label, or else with its key.

    >>> cell_name({"method": "unet5", "depth": "3"}, ["method", "depth"], {"unet5": "UNet-5"})
    'UNet-5, depth=3'
    """
    plain = {key: value if key == "dataset" else f"{key}={value}" for key, value in cell.items()}
    return ", ".join(labels.get(cell[key], plain[key]) for key in keys if key in cell)


@dataclass(frozen=True)
class NamedCell:
    """A cell with its names."""

    row: str  #: Its row's name in a table, which cells may share.
    column: str  #: Its value of the key ``columns``, such as a data set; empty without one.
    label: str  #: Its name among all cells of its column: the row's, or all its values.
    group: CellRuns

    @property
    def dataset(self) -> str:
        """The column, or else the data set of the runs; empty before one has finished."""
        return self.column or self.group.trained_on

    @property
    def title(self) -> str:
        return f"{self.label} on {self.dataset}" if self.dataset else self.label


@dataclass(frozen=True)
class Content:
    """A report before it is written."""

    tables: dict[str, pd.DataFrame]
    """Of text, by the name of their files: ``table``; where that sums up, ``cells``, too. The first
    column is of words, the others are of numbers."""
    verdicts: list[Judged]
    cells: list[NamedCell]
    figures: list[Path]
    notes: list[str]  #: Paragraphs that stand below the figure.
    metrics: Sequence[str]  #: Names of those that are shown, the most important first.
    shows_images: bool  #: Whether the figures show images of a data set.

    @property
    def claims(self) -> list[tuple[str, list[Judged]]]:
        """What each claim says, with its verdicts: one, or one for each place."""
        claims: list[tuple[str, list[Judged]]] = []
        for judged in self.verdicts:
            if judged.where and claims and claims[-1][0] == judged.says:
                claims[-1][1].append(judged)
            else:
                claims.append((judged.says, [judged]))
        return claims

    @property
    def caution(self) -> str | None:
        """How often verdicts are wrong, where there are several."""
        families = [judged.family for judged in self.verdicts if judged.sampled]
        if len(families) < 2:
            return None
        count = len(set(families))
        named = "1 family" if count == 1 else f"{count} families"
        return f"{len(families)} {CAUTION.format(families=named)}"


class Figure(ABC):
    """Base of the figures."""

    shows_images: ClassVar[bool] = False  #: Of a data set; they are not kept with the numbers.

    @abstractmethod
    def draw(self, results: Results, report: "ReportKind") -> list[Path]:
        """Write the figure into the results' folder; the files, none without finished runs."""


@dataclass(frozen=True, kw_only=True)
class ReportKind(ABC):
    """Base of the kinds of reports."""

    rows: str | Sequence[str] | None = None
    """Key of cells, or several, by whose values a row is named; None: all but ``columns``."""
    columns: str | None = None
    """Key of cells whose values stand side by side: columns of the table, panels of the figure."""
    labels: Mapping[str, str] = field(default_factory=dict)  #: What values of cells are called.
    metrics: Sequence[str] = ("psnr", "ssim")  #: Shown, the most important first.
    claims: Sequence[ReportClaim] = ()
    figure: Figure | None = None
    note: str | None = None  #: Below the figure.

    @abstractmethod
    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        """The tables of text by their names: ``table``, and ``cells`` if there is more to show."""

    def notes(self, results: Results) -> list[str]:
        return [self.note] if self.note else []

    def cells(self, results: Results) -> list[NamedCell]:
        """The cells with their names, in the order of the table."""
        rows = [self.rows] if isinstance(self.rows, str) else self.rows
        names = []
        for cell in (group.cell for group in results.groups):
            keys = [key for key in rows or cell if key != self.columns]
            names.append((cell_name(cell, keys, self.labels), cell.get(self.columns or "", "")))
        cells = []
        for (row, column), group in zip(names, results.groups, strict=True):
            whole = cell_name(group.cell, group.cell, {}) or "all runs"
            label = row if row and names.count((row, column)) == 1 else whole
            cells.append(NamedCell(row, column, label, group))
        return cells

    def content(self, results: Results) -> Content:
        return Content(
            self.tables(results),
            judge(self.claims, results),
            self.cells(results),
            self.figure.draw(results, self) if self.figure else [],
            self.notes(results),
            self.metrics,
            bool(self.figure and self.figure.shows_images),
        )


def files_of(table: pd.DataFrame, name: str) -> dict[str, str]:
    """A table in every form, by file name: for GitHub, as CSV, and as a booktabs tabular."""
    columns = f"l{'r' * (len(table.columns) - 1)}"
    return {
        f"{name}.md": markdown(table),
        f"{name}.csv": table.to_csv(index=False, lineterminator="\n"),
        f"{name}.tex": table.to_latex(index=False, escape=True, column_format=columns),
    }


def lines_of(table: pd.DataFrame) -> list[list[str]]:
    return [list(table.columns), *table.to_numpy().tolist()]


def markdown(table: pd.DataFrame) -> str:
    header, *rows = lines_of(table)
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(t.replace('|', chr(92) + '|') for t in x)} |\n" for x in lines)


def facts(results: Results) -> dict[str, str]:
    """All values of what an experiment's numbers were made of, by name; nothing without runs."""
    done = results.finished
    if not results.runs:
        return {}
    return {
        "budget": results.budget,
        "runs": f"{len(done)} of {len(results.runs)} finished",
        "protocol": _all(run.record["protocol"] for run in done),
        "iterations": _all(run.record["iterations"] for run in done),
        "test images": _all(_images(run) for run in done),
        "scenes": _all(run.scenes.nunique() for run in done),
        **exact_images(done),
        "data sets": _all(run.record["dataset"] for run in done),
        "degraded": _all(_degraded(run) for run in done),
        "device": _all(run.record["device"] for run in done),
        "speed": _all(speed_of(run.record) for run in done),
        "code": _all(run.record["git_commit"] for run in done),
    }


def warning(results: Results) -> str:
    """What must be said beside the numbers of a small run; empty for the paper's budget."""
    return SMALL_RUN if results.groups and results.budget != "paper" else ""


def _images(run: Run) -> str:
    part = f", {run.side} x {run.side} pixels of each" if run.side else ""
    return f"{run.record['images']}{part}"


def exact_images(runs: Sequence[Run]) -> dict[str, str]:
    """How many restored images count as :data:`.CEILING` in means; empty for none."""
    exact = sum(int((run.scores["psnr"] > CEILING).sum()) for run in runs if "psnr" in run.scores)
    return {f"images that count as {CEILING:.2f} dB": str(exact)} if exact else {}


def _degraded(run: Run) -> str:
    psnr = float(run.record["degraded"]["psnr"])
    return f"{psnr:.2f} dB ({run.record['dataset']})" if math.isfinite(psnr) else "-"


def _all(values: Iterable[object]) -> str:
    return ", ".join(sorted(set(map(str, values)))) or "-"
