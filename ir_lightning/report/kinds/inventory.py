"""Data sets as published and as found: the report of kind ``inventory``.

What was found stands in the experiment's index; nothing is looked up here.
"""

from collections.abc import Mapping
from typing import Any

from ir_lightning.errors import UsageError
from ir_lightning.report.claims import UNDECIDED, Judged, Verdict
from ir_lightning.report.content import Content, Table
from ir_lightning.report.runs import Results

PARTS = ("training", "test")
ABSENT = "not there"
HEADER = (
    "data set",
    "task",
    "composition",
    "training, paper",
    "training, found",
    "of it held out",
    "test, paper",
    "test, found",
    "crop (px)",
    "training below crop",
    "training sizes (px)",
    "test sizes (px)",
)

Found = Mapping[str, Any]
"""An entry of the index, see :func:`ir_lightning.cli.inventory.inventory`."""


def inventory_content(results: Results) -> Content:
    """The table, a verdict for each benchmark, and why something was not found.

    Raises:
        UsageError: the experiment has a claim of another kind than ``found``.
    """
    table = Table(HEADER, [_row(results.report["paper"], found) for found in results.found])
    notes = ["Sizes: the smallest, the median and the largest image by area, width x height."]
    if any(found["stands_in"] for found in results.found):
        notes.append(
            "Synthetic data sets are this project's own and no part of the paper's table; they "
            "stand in for the benchmarks where a run asks for them."
        )
    for found in results.found:
        notes += [f"{found['dataset']}: {reason}" for reason in _reasons(found)]
    return Content(table.files(), _judged(results), notes=notes, samples=False)


def _row(paper: Mapping[str, Any], found: Found) -> tuple[str, ...]:
    published = paper.get(found["dataset"], {})
    model = paper.get(found["stands_in"][0], {}) if found["stands_in"] else published
    name = found["dataset"]
    if found["stands_in"]:
        name += f" (synthetic, for {', '.join(found['stands_in'])})"
    training, test = (found.get(part, {}) for part in PARTS)
    return (
        name,
        str(model.get("task", "-")),
        str(model.get("composition", "-")),
        _number(published.get("training")),
        _count(found, "training"),
        _number(training.get("held_out")),
        _number(published.get("test")),
        _count(found, "test"),
        str(found["crop"]),
        _number(training.get("below")),
        _sizes(training),
        _sizes(test),
    )


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _count(found: Found, part: str) -> str:
    """How many pairs there are, or that there are none."""
    there = found if "absent" in found else found[part]
    if "absent" in there:
        return ABSENT
    return _number(there["pairs"]) if "pairs" in there else "refused"


def _sizes(part: Mapping[str, Any]) -> str:
    sizes = list(dict.fromkeys(f"{width}x{height}" for width, height in part.get("sizes", [])))
    return ", ".join(sizes) or "-"


def _reasons(found: Found) -> list[str]:
    """Why something could not be counted; training and test may say the same."""
    places = [found, *(found.get(part, {}) for part in PARTS)]
    reasons = [place.get(why) for place in places for why in ("absent", "refused")]
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _judged(results: Results) -> list[Judged]:
    """Every claim of kind ``found`` on each data set of the paper that was looked for."""
    judged, paper = [], results.report["paper"]
    for claim in results.report["claims"]:
        if claim["kind"] != "found":
            raise UsageError(f"{results.name}: a claim of kind {claim['kind']}; take found.")
        for found in results.found:
            if found["dataset"] in paper:
                name = str(found["dataset"])
                judged.append(Judged(claim["says"], name, *_verdict(paper[name], found)))
    return judged


def _verdict(published: Mapping[str, Any], found: Found) -> Verdict:
    """One wrong count refutes; without one, what could not be counted leaves it open."""
    counts = {part: found.get(part, {}).get("pairs") for part in PARTS}
    told = ", ".join(
        f"{part} {_number(published[part])} in the paper, {_count(found, part)} here"
        for part in PARTS
    )
    if any(n not in (None, published[part]) for part, n in counts.items()):
        return "not supported", told
    if None in counts.values():
        return UNDECIDED, told
    return "supported", told
