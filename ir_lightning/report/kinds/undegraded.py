"""Is what had not been degraded kept? PSNR over the untouched pixels of the test images.

A run's ``test_images.csv`` has it by image in the column ``untouched_psnr``, empty where the whole
image was degraded. Runs from before there was such a column are not judged.
"""

import csv
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ir_lightning.errors import UsageError
from ir_lightning.report.claims import UNDECIDED, Judged, Verdict
from ir_lightning.report.content import Table
from ir_lightning.report.runs import Array, CellRuns, Results, Run
from ir_lightning.runs.record import TEST_IMAGES
from ir_lightning.statistics.comparison import cell, compare

COLUMN = "untouched_psnr"
CEILING = 10 * math.log10(12 * 255**2)
"""dB: the error of rounding to 8 bits, 1/12 of a squared grey level. What is closer to the clean
image (up to infinity, where all pixels are equal) counts as this."""
KIND = "untouched"
HEADER = (
    "",
    "PSNR (dB)",
    "untouched PSNR (dB)",
    "sd",
    "images with untouched pixels",
    "seeds",
)


class NotMeasuredError(Exception):
    """There are no such scores, for the reason that the message says."""


def untouched(group: CellRuns) -> Array:
    """(S, I) dB of a cell's runs, over the images that have untouched pixels; NaN: no such run.

    Raises:
        NotMeasuredError: no run has finished, one has no such column, or no image has such pixels.
    """
    done = {seed: _column(run) for seed, run in sorted(group.runs.items()) if run.finished}
    if not done:
        raise NotMeasuredError("a cell has no finished run yet")
    scores = np.array(list(done.values()))
    known = ~np.isnan(scores).any(axis=0)
    if not known.any():
        raise NotMeasuredError("no test image has an untouched pixel")
    missing = np.full(int(known.sum()), np.nan)
    rows = [done[seed][known] if seed in done else missing for seed in sorted(group.runs)]
    return np.asarray(np.minimum(np.array(rows), CEILING))


def _column(run: Run) -> Array:
    """(I,) dB; NaN where an image has no untouched pixel."""
    path = run.directory / TEST_IMAGES
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if any(row.get(COLUMN) is None for row in rows):
        raise NotMeasuredError(f"{run.directory.name} was scored without the column {COLUMN}")
    try:
        return np.array([float(row[COLUMN] or math.nan) for row in rows])
    except ValueError as error:
        raise UsageError(f"{path}: cannot be read ({error}).") from None


def table(results: Results) -> Table:
    """A row for each method."""
    return Table(HEADER, [_row(results, group) for group in results.groups])


def _row(results: Results, group: CellRuns) -> tuple[str, ...]:
    done = group.finished
    whole = f"{cell(group.matrix()).mean:.2f}" if done else "-"
    try:
        scores = untouched(group)
        found = cell(scores)
        spread = "-" if math.isnan(found.sd) else f"{found.sd:.2f}"
        numbers = (f"{found.mean:.2f}", spread, f"{scores.shape[1]}/{len(done[0].images)}")
    except NotMeasuredError:
        numbers = ("-", "-", "-")
    return label(results, group), whole, *numbers, f"{len(done)}/{len(group.runs)}"


def label(results: Results, group: CellRuns) -> str:
    """What a method is called."""
    name = group.cell[results.report["rows"]]
    return str(results.report.get("labels", {}).get(name, name))


def judge_untouched(results: Results) -> list[Judged]:
    """Every claim of kind ``untouched``: A keeps untouched pixels better than B, in dB.

    Raises:
        UsageError: a claim of another kind, or one about a cell that there is not.
    """
    found = []
    for claim in results.report.get("claims", []):
        if claim["kind"] != KIND:
            raise UsageError(f"{results.name}: a claim of kind {claim['kind']}; take {KIND}.")
        verdict, reason = _verdict(results, claim)
        found.append(Judged(claim["says"], "", verdict, reason))
    return found


def _verdict(results: Results, claim: Mapping[str, Any]) -> Verdict:
    groups = [results.where(claim[side]) for side in ("a", "b")]
    if any(len(cells) != 1 for cells in groups):
        raise UsageError(f"{results.name}: '{claim['says']}' is not about two cells.")
    try:
        a, b = (untouched(cells[0]) for cells in groups)
    except NotMeasuredError as error:
        return UNDECIDED, f"untouched PSNR: {error}"
    judged = compare(a, b, margin=float(claim.get("margin", 0.0)), unit="dB")
    return judged.verdict, f"untouched PSNR: {judged.reason}"
