"""What every kind of report and every figure has; an experiment's file names it by ``_target_``."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pandas as pd

from ir_lightning.report.claims import ReportClaim
from ir_lightning.report.content import Content, NamedCell, cell_name
from ir_lightning.report.runs import Results


class Figure(ABC):
    """Base of the figures."""

    shows_images: ClassVar[bool] = False  #: Of a data set; they are not kept with the numbers.

    @abstractmethod
    def draw(self, results: Results, report: "ReportKind") -> list[Path]:
        """Write the figure into the folder of the results; the files, none without finished runs.

        ``report`` names the cells and says which metrics are shown.
        """


@dataclass(frozen=True, kw_only=True)
class ReportKind(ABC):
    """Base of the kinds of reports.

    Args:
        rows: key of cells, or several, by whose values a row is named; None: all but ``columns``.
        columns: key of cells whose values stand side by side, such as data sets: a column of the
            table, a panel of the figure.
        labels: what values of cells are called.
        metrics: names of the metrics that are shown, the most important first.
        claims, figure, note: of the report, the note below the figure.
    """

    rows: str | Sequence[str] | None = None
    columns: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[str] = ("psnr", "ssim")
    claims: Sequence[ReportClaim] = ()
    figure: Figure | None = None
    note: str | None = None

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
            [judged for claim in self.claims for judged in claim.judge(results)],
            self.cells(results),
            self.figure.draw(results, self) if self.figure else [],
            self.notes(results),
            self.metrics,
            bool(self.figure and self.figure.shows_images),
        )
