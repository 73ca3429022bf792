"""Curves and bars with the spread between seeds, in colours that everybody can tell apart."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from ir_lightning.files import atomic_write
from ir_lightning.report.runs import CellRuns, Results

matplotlib.use("Agg")
from matplotlib import pyplot

# Okabe and Ito (2008): distinct for every kind of colour vision, and in grey by their markers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
FORMATS = ("png", "pdf")


def draw(results: Results) -> list[Path]:
    """Write ``figure.png`` and ``figure.pdf`` of a curve or bar experiment; nothing for a table.

    Each point is the mean over test images and seeds, the band one standard deviation between
    seeds; cells without a finished run are left out.
    """
    report = results.report
    if report["kind"] not in ("curve", "bars"):
        return []
    panel_key, series_key = report.get("panels"), report.get("series")
    panels = _values(results, panel_key)
    figure, axes = pyplot.subplots(
        2, len(panels), figsize=(1.5 + 3.6 * len(panels), 6.0), squeeze=False, sharex="col"
    )
    for column, panel in enumerate(panels):
        for row, (metric, label) in enumerate((("psnr", "PSNR (dB)"), ("ssim", "SSIM"))):
            axis = axes[row][column]
            for number, series in enumerate(_values(results, series_key)):
                part = {k: v for k, v in ((panel_key, panel), (series_key, series)) if k}
                _line(axis, report, results.where(part), metric, number, series)
            axis.set_ylabel(label)
            axis.grid(alpha=0.3)
        axes[0][column].set_title(panel)
        axes[1][column].set_xlabel(report.get("x_label", report["x"]))
        if report["kind"] == "curve":  # the levels, not values between them
            axes[1][column].set_xticks(sorted(map(float, _values(results, report["x"]))))
    if series_key:
        axes[0][0].legend(title=series_key)
    figure.suptitle(f"{results.title}\nbudget={results.budget}: mean and sd over seeds", fontsize=9)
    figure.tight_layout()
    return save(figure, results.folder)


def save(figure: Any, folder: Path) -> list[Path]:
    """Write ``figure.png`` and ``figure.pdf`` into a folder, and close the figure."""
    written = []
    for form in FORMATS:
        path = folder / f"figure.{form}"
        # No date in the file: the same runs draw the same bytes.
        empty: dict[str, Any] = {"CreationDate": None} if form == "pdf" else {"Software": None}
        with atomic_write(path, "wb") as file:
            figure.savefig(file, format=form, dpi=120, metadata=empty)
        written.append(path)
    pyplot.close(figure)
    return written


def _values(results: Results, key: str | None) -> list[str]:
    return list(dict.fromkeys(g.cell.get(key, "") for g in results.groups)) if key else [""]


def _line(
    axis: Any, report: dict[str, Any], groups: list[CellRuns], metric: str, number: int, label: str
) -> None:
    done = [group for group in groups if group.finished]
    if not done:
        return
    names = [group.cell.get(report["x"], "none") for group in done]
    runs = [[float(np.mean(getattr(run, metric))) for run in group.finished] for group in done]
    means = np.array([np.mean(scores) for scores in runs])
    spread = np.array([np.std(scores, ddof=1) if len(scores) > 1 else 0.0 for scores in runs])
    colour = COLOURS[number % len(COLOURS)]
    if report["kind"] == "bars":
        places = np.arange(len(names))
        axis.bar(places, means, yerr=spread, color=colour, capsize=2)
        axis.set_xticks(places, names, rotation=60, ha="right", fontsize=7)
        axis.set_ylim(min(means - spread) - 0.1 * np.ptp(means) - 1e-3)
        return
    x = np.array([float(name) for name in names])
    axis.plot(x, means, color=colour, marker=MARKERS[number % len(MARKERS)], label=label)
    axis.fill_between(x, means - spread, means + spread, color=colour, alpha=0.2)
