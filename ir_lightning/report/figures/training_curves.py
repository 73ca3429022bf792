"""Training curves of cells, averaged over seeds, and drawn as SVG: one for each data set."""

import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import matplotlib
import numpy as np
import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.report.content import NamedCell
from ir_lightning.report.figures.drawing import COLOURS, pyplot
from ir_lightning.report.runs import ReportedMetric, read_curves

WINDOWS = 30
"""A curve with more points is drawn as so many means, each over an equal share of the run."""
LONG = 32  #: Letters: legends of longer labels have one column.
Curve: TypeAlias = "pd.Series[float]"  #: Values by iteration.
Line = tuple[NamedCell, Curve]
DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Drawing:
    """One picture of curves."""

    group: str  #: What it has in common with the small drawings beside it; empty for a large one.
    title: str
    says: str  #: The same for those who do not see it, with the last values.
    svg: bytes  #: Without a date, so that the same curves give the same bytes.


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean over seeds, where all of them have values, in at most ``WINDOWS`` points."""
    seeds = pd.concat(curves).groupby(level=0)
    mean = seeds.mean()[seeds.count() == len(curves)]
    if len(mean) <= WINDOWS:
        return mean
    windows = np.array_split(np.arange(len(mean)), WINDOWS)
    means = {mean.index[rows].to_numpy().mean(): mean.iloc[rows].mean() for rows in windows}
    return pd.Series(means)


def draw_curves(cells: Sequence[NamedCell], metric: ReportedMetric) -> list[Drawing]:
    """The validation scores by a metric, and the loss of the generator, of cells that have them."""
    columns = {
        f"val/{metric.name}": f"validation {metric.title}",
        "train/generator": "loss of the generator",
    }
    curves = [(cell, _of(cell, columns)) for cell in cells]
    drawings = []
    for column, label in columns.items():
        lines = [(cell, means[column]) for cell, means in curves if column in means]
        for dataset in dict.fromkeys(cell.dataset for cell, _ in lines):
            here = [line for line in lines if line[0].dataset == dataset]
            drawings += _drawings(label, dataset, here)
    return drawings


def _of(cell: NamedCell, columns: Iterable[str]) -> dict[str, Curve]:
    """The mean curves of a cell; one that a seed lacks is left out, or there is no mean."""
    seeds = [read_curves(run.directory) for run in cell.group.finished]
    means = {}
    for name in columns:
        if seeds and all(name in seed for seed in seeds):
            mean = mean_curve([seed[name].dropna() for seed in seeds])
            if len(mean):
                means[name] = mean
    return means


def _drawings(label: str, dataset: str, lines: list[Line]) -> list[Drawing]:
    """One of up to seven colours, or of steps from dark to light, or a small one for each cell."""
    title = f"{label[0].upper()}{label[1:]}{f' on {dataset}' if dataset else ''}"
    if len(lines) <= len(COLOURS):
        return [_drawing(title, label, lines)]
    if steps := _steps_of([cell for cell, _ in lines]):
        parts: dict[str, list[Line]] = {}
        for line in lines:
            cell = line[0].group.cell
            others = [v for key, v in cell.items() if key != steps and v != dataset]
            parts.setdefault(", ".join([title, *others]), []).append(line)
        return [_drawing(part, label, part_of, lines) for part, part_of in parts.items()]
    return [_drawing(line[0].label, label, [line], lines, group=title) for line in lines]


def _steps_of(cells: Sequence[NamedCell]) -> str | None:
    """The key whose values are steps of one number, if there is one."""
    for key in cells[0].group.cell:
        with suppress(UsageError):
            if len({cell.group.number(key) for cell in cells}) > 1:
                return key
    return None


def _drawing(
    title: str, label: str, lines: list[Line], behind: Sequence[Line] = (), group: str = ""
) -> Drawing:
    """Lines in front of all the others of the data set, which also give the axes their range."""
    small = bool(group)
    columns = 1 if max(len(cell.label) for cell, _ in lines) > LONG else 2
    rows = 0 if small else -(-len(lines) // columns)
    size = (2.6, 2.0) if small else (4.8, 3.1 + 0.17 * rows)
    figure, axis = pyplot.subplots(figsize=size, layout="constrained")
    for _, curve in behind:
        axis.plot(curve.index, curve, color="0.82", linewidth=0.8)
    for number, (cell, curve) in enumerate(lines):
        colour: Any = COLOURS[number % len(COLOURS)]
        dashes = DASHES[number % len(DASHES)]
        if behind and not small:  # from dark to a light that white does not swallow
            colour = matplotlib.colormaps["viridis"](0.88 * number / max(1, len(lines) - 1))
            dashes = "-"
        name = cell.label if len(cell.label) <= 2 * LONG else f"{cell.label[: 2 * LONG - 1]}…"
        how = {"color": colour, "marker": "o" if len(curve) == 1 else None, "linewidth": 1.6}
        axis.plot(curve.index, curve, dashes, label=name, **how)
    axis.set_xlabel("iteration", fontsize=8)
    axis.set_ylabel("" if small else label, fontsize=8)
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)
    values = pd.concat([curve for _, curve in (*lines, *behind)])
    if label.startswith("loss") and 0 < 10 * values.min() < values.max():
        axis.set_yscale("log")
    if rows and len(lines) > 1:
        figure.legend(loc="outside lower center", ncols=columns, fontsize=7, frameon=False)
    ends = "; ".join(f"{cell.label} {curve.iloc[-1]:.2f}" for cell, curve in lines)
    what = f"{group}: {title}" if small else title
    file = io.BytesIO()
    # Fixed names inside and no date: the same curves give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "ir_lightning"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return Drawing(group, title, f"{what}, by iteration. At the end: {ends}.", file.getvalue())
