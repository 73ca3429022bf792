"""``experiment.json``: what the report of an experiment is made of, and where its runs lie."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from ir_lightning.build import ANY, Trusted, build
from ir_lightning.errors import UsageError

INDEX = "experiment.json"
REPORTS = Trusted("reports", {"ir_lightning.report": ANY, "ir_lightning.cli.steps": ANY})
"""What an index may name."""


def read_index(folder: Path) -> dict[str, Any]:
    """The index of an experiment, see :func:`ir_lightning.report.experiment.write_index`.

    Raises:
        UsageError: there is none, or it has a kind of report or claim that there never was.
    """
    path = folder / INDEX
    try:
        index: dict[str, Any] = json.loads(path.read_text("utf-8"))
        former = "kind" in index["report"]
        index["runs"]
    except (OSError, ValueError, KeyError, TypeError):
        advice = "`ir-lightning experiment NAME` writes one."
        raise UsageError(f"{path}: no index of an experiment; {advice}") from None
    try:
        return _translated(index) if former else index
    except KeyError as error:
        raise UsageError(f"{path}: there is no kind of report or claim {error}.") from None


def build_report(node: Mapping[str, Any], where: Path) -> Any:
    """Build the :class:`.ReportKind` of ``report:`` in a file; UsageError if there is none."""
    try:
        report = build(node, "report")
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    if not hasattr(report, "content"):
        raise UsageError(f"{where}: report needs the _target_ of a kind of report.")
    return report


KINDS = {
    "table": ("ScoreTable", None),
    "curve": ("ScoreTable", "LineFigure"),
    "bars": ("ScoreTable", "BarFigure"),
    "convergence": ("ConvergenceTable", "ConvergenceFigure"),
    "photographs": ("PhotographTable", "PhotographFigure"),
    "saturation_table": ("SaturationTable", None),
    "inventory": ("InventoryTable", None),
}
"""Kinds of reports in the indices of earlier versions: the class of each, and of its figure."""
CLAIMS = {
    "difference": "Difference",
    "not_worse": "NotWorse",
    "trend": "Grows",
    "saturation": "SaturatesAt",
    "two_stage": "TwoStages",
    "ahead": "DiscriminatorAhead",
    "vanishing": "GradientVanishes",
    "untouched": "KeepsUndegraded",
    "found": "CountsAsPublished",
}
KEYS = {"panels": "columns", "from": "start"}


def _target(name: str) -> dict[str, str]:
    return {"_target_": f"ir_lightning.report.{name}"}


def _translated(index: dict[str, Any]) -> dict[str, Any]:
    nodes = [index["report"], *index["report"].get("claims", [])]
    report, *claims = [{KEYS.get(key, key): node[key] for key in node} for node in nodes]
    table, figure = KINDS[report.pop("kind")]
    claims = [_target(CLAIMS[claim.pop("kind")]) | claim for claim in claims]
    if not index["runs"]:  # an inventory
        claims = [{key: claim[key] for key in ("_target_", "says")} for claim in claims]
        claims = [{**claim, "published": deepcopy(report["paper"])} for claim in claims]
    prepare = None
    if "photographs" in report:
        target = {"_target_": "ir_lightning.cli.RestorePhotographs", "folder": None}
        prepare = target | report.pop("photographs")
    if isinstance(report.get("series"), list):
        report["rows"] = report.pop("series")
    if "columns" in index["report"]:
        table = "ScoreMatrix"
    if report.pop("over", None):  # as the claim says, and what the paper printed
        report.pop("paper", None)
    own = {key: report.pop(key) for key in ("x", "x_label", "series") if key in report}
    if figure:
        report["figure"] = _target(figure) | own
    return {**index, "prepare": prepare, "report": {**_target(table), **report, "claims": claims}}
