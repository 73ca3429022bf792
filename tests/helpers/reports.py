"""Parts of reports as an experiment's file names them, and what a folder's report contains."""

from pathlib import Path
from typing import Any

from ir_lightning.report.content import Content
from ir_lightning.report.write import open_report


def part(name: str, **arguments: Any) -> dict[str, Any]:
    """A kind of report, a figure or a claim of this package."""
    return {"_target_": f"ir_lightning.report.{name}", **arguments}


def content_of(folder: Path) -> Content:
    """The report that a folder's index describes, before it is written."""
    report, results = open_report(folder)
    return report.content(results)
