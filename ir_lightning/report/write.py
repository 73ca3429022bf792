"""The report of an experiment: report.md and .html, table.* (cells.*), figure.png and .pdf."""

from pathlib import Path

from ir_lightning.errors import UsageError
from ir_lightning.files import atomic_write
from ir_lightning.report.claims import judge
from ir_lightning.report.content import Content
from ir_lightning.report.facts import facts, warning
from ir_lightning.report.figures.curves_and_bars import draw
from ir_lightning.report.kinds.convergence_claims import convergence_content
from ir_lightning.report.kinds.inventory import inventory_content
from ir_lightning.report.kinds.saturation_table import saturation_content
from ir_lightning.report.kinds.score_table import entries, overview, score_table
from ir_lightning.report.page.html import write_page
from ir_lightning.report.runs import Results, collect
from ir_lightning.report.wandb_report import Mode, log_report


def write_report(folder: Path, photos: Path | None = None, wandb: Mode = Mode.OFF) -> list[Path]:
    """Read the runs that a folder's index names, and write what they say beside it.

    Args:
        folder: of the index.
        photos: photographs to restore instead of those that the index names.
        wandb: whether the report is logged to W&B, too.

    Returns:
        The files written.

    Raises:
        UsageError: there is no index, or the runs do not compare.
    """
    results = collect(folder)
    content = content_of(results, photos)
    texts = {**content.tables, "report.md": _report(results, content)}
    for name, text in texts.items():
        with atomic_write(folder / name) as file:
            file.write(text)
    page = write_page(results, content)
    log_report(results, content.verdicts, wandb)
    return [*(folder / name for name in texts), *content.figures, page]


def content_of(results: Results, photos: Path | None = None) -> Content:
    """Tables, verdicts and figures by the kind of the experiment; figures are drawn.

    Raises:
        UsageError: the experiment's file or the photographs cannot be used.
    """
    if results.report["kind"] == "photographs":
        from ir_lightning.report.kinds.photographs import photographs  # imports torch

        return photographs(results, photos)
    if photos is not None:
        raise UsageError(f"--photos: {results.name} restores no photographs; fig5 does.")
    if results.report["kind"] == "convergence":
        return convergence_content(results)
    if results.report["kind"] == "inventory":
        return inventory_content(results)
    if results.report["kind"] == "saturation_table":
        return saturation_content(results)
    scores = score_table(results)
    tables = scores.files()
    if "columns" in results.report:
        tables = overview(entries(results)).files() | scores.files("cells")
    return Content(tables, judge(results), draw(results))


def _report(results: Results, content: Content) -> str:
    lines = [f"# {results.title}", ""]
    lines += [f"- {key}: {value}" for key, value in facts(results).items()]
    if told := warning(results):
        lines += ["", told]
    lines += ["", "## Claims", ""]
    for says, verdicts in content.claims:
        if len(verdicts) == 1:
            (judged,) = verdicts
            where = f" ({judged.where})" if judged.where else ""
            lines.append(f"- **{judged.verdict}**: {says}{where}. {judged.reason}")
            continue
        lines.append(f"- {says}")
        lines += [f"  - {each.where}: **{each.verdict}**. {each.reason}" for each in verdicts]
    if content.caution:
        lines += ["", content.caution]
    lines += [
        "",
        *(f"![{results.title}]({p.name})\n" for p in content.figures if p.suffix == ".png"),
    ]
    lines += [*(f"{note}\n" for note in content.notes), "## Numbers", ""]
    lines.append(content.tables["table.md"])
    if "cells.md" in content.tables:
        lines += ["## Every cell", "", content.tables["cells.md"]]
    return "\n".join(lines)
