"""The report of an experiment: table.md, .csv and .tex, figure.png and .pdf, report.md."""

from collections.abc import Iterable
from pathlib import Path

from ir_lightning.files import atomic_write
from ir_lightning.report.collect import Results, collect
from ir_lightning.report.figures import draw
from ir_lightning.report.tables import comma_separated, entries, latex, markdown
from ir_lightning.report.verdicts import Judged, judge


def write_report(folder: Path) -> list[Path]:
    """Read the runs that a folder's index names, and write what they say beside it.

    Returns:
        The files written.

    Raises:
        UsageError: there is no index, or the runs do not compare.
    """
    results = collect(folder)
    table, figures = entries(results), draw(results)
    texts = {
        "table.md": markdown(table),
        "table.csv": comma_separated(table),
        "table.tex": latex(table),
        "report.md": _report(results, markdown(table), judge(results), figures),
    }
    for name, text in texts.items():
        with atomic_write(folder / name) as file:
            file.write(text)
    return [*(folder / name for name in texts), *figures]


def _report(results: Results, table: str, verdicts: list[Judged], figures: list[Path]) -> str:
    runs = [run for group in results.groups for run in group.runs.values()]
    done = [run for run in runs if run.finished]
    facts = {
        "budget": results.budget,
        "runs": f"{len(done)} of {len(runs)} finished",
        "protocol": _all(str(run.record["protocol"]) for run in done),
        "iterations": _all(str(run.record["iterations"]) for run in done),
        "test images": _all(str(run.record["images"]) for run in done),
        "data sets": _all(str(run.record["dataset"]) for run in done),
        "device": _all(str(run.record["device"]) for run in done),
        "code": _all(str(run.record["git_commit"]) for run in done),
    }
    lines = [f"# {results.title}", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    if results.budget != "paper":
        lines += ["", "A small run: its numbers do not compare with the paper's."]
    lines += ["", "## Claims", ""]
    for judged in verdicts:
        where = f" ({judged.where})" if judged.where else ""
        lines.append(f"- **{judged.verdict}**: {judged.says}{where}. {judged.reason}")
    lines += ["", *(f"![{results.title}]({p.name})\n" for p in figures if p.suffix == ".png")]
    return "\n".join([*lines, "## Numbers", "", table])


def _all(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "-"
