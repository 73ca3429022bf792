"""What the cells of an experiment are called, in tables, figures, claims and headings."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ir_lightning.report.runs import Cell, CellRuns


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
