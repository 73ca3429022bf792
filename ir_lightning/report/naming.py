"""What the cells of an experiment are called, so that each name stands for one cell."""

from collections import Counter
from dataclasses import dataclass

from ir_lightning.report.kinds.score_table import entries
from ir_lightning.report.runs import CellRuns, Results


@dataclass(frozen=True)
class NamedCell:
    """A cell with its name.

    Attributes:
        label: as in the table, where that is unique on its data set.
        dataset: the table's column, which is the data set in most experiments; where the table
            has none, the data set of the runs; empty before one has finished.
        group: its seeds.
    """

    label: str
    dataset: str
    group: CellRuns

    @property
    def title(self) -> str:
        """Both, for headings."""
        return f"{self.label} on {self.dataset}" if self.dataset else self.label


def named_cells(results: Results) -> list[NamedCell]:
    """Every cell, in the table's order; those that share a label are called by all their values."""
    table = entries(results)
    known = Counter((entry.row, entry.column) for entry in table)
    cells = []
    for entry, group in zip(table, results.groups, strict=True):
        every = ", ".join(f"{key}={value}" for key, value in group.cell.items())
        unique = entry.row and known[entry.row, entry.column] == 1
        done = group.finished
        dataset = entry.column or (str(done[0].record["dataset"]) if done else "")
        cells.append(NamedCell(entry.row if unique else every or results.name, dataset, group))
    return cells
