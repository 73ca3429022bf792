"""How many levels each task needs: the report of kind ``saturation_table``, the paper's Table I."""

import math
from dataclasses import replace

from ir_lightning.errors import UsageError
from ir_lightning.report.claims import judge, saturated
from ir_lightning.report.content import Content, Table
from ir_lightning.report.kinds.score_table import score_table
from ir_lightning.report.runs import Results
from ir_lightning.statistics.saturation import Saturation

HEADER = (
    "",
    "levels, paper",
    "levels, ours",
    "highest mean (dB)",
    "at",
    "largest SE of a difference (dB)",
    "runs",
    "would take",
)


def saturation_content(results: Results) -> Content:
    """A row for each value of the key ``rows``, judged by the experiment's saturation claim.

    Raises:
        UsageError: the experiment's file lacks a part, or its scores cannot be used.
    """
    report = results.report
    claims = [claim for claim in report["claims"] if claim["kind"] == "saturation"]
    if len(claims) != 1 or not {"rows", "over"} <= report.keys():
        raise UsageError(
            f"{results.name}: {report['kind']} needs the keys rows and over, and one claim of kind "
            "saturation."
        )
    rows = []
    for value in dict.fromkeys(group.cell[report["rows"]] for group in results.groups):
        found = saturated(results, claims[0], {report["rows"]: value})
        label = report.get("labels", {}).get(value, value)
        rows.append(_row(results, value, label, found))
    each_level = {**report, "rows": [report["rows"], report["over"]], "paper": None}
    cells = score_table(replace(results, report=each_level))
    tables = Table(HEADER, rows).files() | cells.files("cells")
    return Content(tables, judge(results), notes=[report["note"]] if "note" in report else [])


def _row(results: Results, value: str, label: str, found: Saturation | str) -> tuple[str, ...]:
    printed = (results.report.get("paper") or {}).get(value)
    groups = results.where({results.report["rows"]: value})
    runs = f"{sum(len(g.finished) for g in groups)}/{sum(len(g.runs) for g in groups)}"
    paper = f"{printed[0]} to {printed[1]}" if printed else "-"
    if isinstance(found, str):
        return (label, paper, "-", "-", "-", "-", runs, "-")
    best = max(range(len(found.means)), key=lambda place: found.means[place])
    error = "-" if math.isnan(found.standard_error) else f"{found.standard_error:.2f}"
    return (
        label,
        paper,
        levels(found),
        f"{found.means[best]:.2f}",
        str(found.depths[best]),
        error,
        runs,
        needed(found),
    )


def levels(found: Saturation) -> str:
    """N saturated in a few words: ``4``, ``3 to 5``, or what is known where it is unresolved."""
    if not found.resolved:
        return "unresolved" if found.lower in (None, found.depths[0]) else f"{found.lower} or more"
    return f"{found.upper}" if found.lower == found.upper else f"{found.lower} to {found.upper}"


def needed(found: Saturation) -> str:
    """What would resolve it, for each level."""
    if found.resolved:
        return "-"
    if found.images_needed:
        return f"{found.images_needed} test images"
    return f"{found.seeds_needed} seeds" if found.seeds_needed else "-"
