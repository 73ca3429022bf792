"""What a report is made of, whatever kind of experiment it is about, and how its cells are named."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ir_lightning.report.claims import Judged
from ir_lightning.report.runs import Cell, CellRuns, Results, Run

SMALL_RUN = "A small run: its numbers do not compare with the paper's."


def cell_name(cell: Cell, keys: Iterable[str], labels: Mapping[str, str]) -> str:
    """A cell by its values of some keys, each by its label.

    A value without a label is written with its key; a data set's name stands for itself.

    >>> cell_name({"method": "unet5", "depth": "3"}, ["method", "depth"], {"unet5": "UNet-5"})
    'UNet-5, depth=3'
    """
    values = [(key, cell[key]) for key in keys if key in cell]
    plain = {key: value if key == "dataset" else f"{key}={value}" for key, value in values}
    return ", ".join(labels.get(value, plain[key]) for key, value in values)


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
        """Label and data set, for headings."""
        return f"{self.label} on {self.dataset}" if self.dataset else self.label


def named_cells(
    groups: Sequence[CellRuns],
    rows: Sequence[str] | None,
    columns: str | None,
    labels: Mapping[str, str],
) -> list[NamedCell]:
    """Name every cell, in the order of ``groups``; the rest is as in :class:`.kind.ReportKind`."""
    names = []
    for group in groups:
        keys = [key for key in rows or group.cell if key != columns]
        names.append((cell_name(group.cell, keys, labels), group.cell.get(columns or "", "")))
    counts = Counter(names)
    cells = []
    for name, group in zip(names, groups, strict=True):
        whole = cell_name(group.cell, group.cell, {}) or "all runs"
        cells.append(NamedCell(*name, name[0] if name[0] and counts[name] == 1 else whole, group))
    return cells


@dataclass(frozen=True)
class Content:
    """A report before it is written.

    Attributes:
        tables: of text, by the name of their files: ``table``; where that sums up, ``cells``, too,
            with everything that it is made of. The first column is of words, the others are of
            numbers.
    """

    tables: dict[str, pd.DataFrame]
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
        sampled = sum(judged.sampled for judged in self.verdicts)
        if sampled < 2:
            return None
        return (
            f"{sampled} verdicts. Each one by itself is wrong in at most 5 % of "
            "repetitions; nothing is corrected for their number."
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
    """The header and the rows of a table."""
    return [list(table.columns), *table.to_numpy().tolist()]


def markdown(table: pd.DataFrame) -> str:
    """A GitHub table."""
    header, *rows = lines_of(table)
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(t.replace('|', chr(92) + '|') for t in x)} |\n" for x in lines)


def facts(results: Results) -> dict[str, str]:
    """What an experiment's numbers were made of, name to value; nothing without runs.

    Of what differs between runs, all values are given; a dash stands for nothing.
    """
    done = results.finished
    if not results.runs:
        return {}
    return {
        "budget": results.budget,
        "runs": f"{len(done)} of {len(results.runs)} finished",
        "protocol": _all(run.record["protocol"] for run in done),
        "iterations": _all(run.record["iterations"] for run in done),
        "test images": _all(_images(run) for run in done),
        "data sets": _all(run.record["dataset"] for run in done),
        "degraded": _all(_degraded(run) for run in done),
        "device": _all(run.record["device"] for run in done),
        "code": _all(run.record["git_commit"] for run in done),
    }


def warning(results: Results) -> str:
    """What must be said beside the numbers of a small run; empty for the paper's budget."""
    return SMALL_RUN if results.groups and results.budget != "paper" else ""


def _images(run: Run) -> str:
    """How many were scored, and how much of each."""
    part = f", {run.side} x {run.side} pixels of each" if run.side else ""
    return f"{run.record['images']}{part}"


def _degraded(run: Run) -> str:
    """What a restorer has to beat."""
    psnr = float(run.record["degraded"]["psnr"])
    return f"{psnr:.2f} dB ({run.record['dataset']})" if math.isfinite(psnr) else "-"


def _all(values: Iterable[object]) -> str:
    return ", ".join(sorted(set(map(str, values)))) or "-"
