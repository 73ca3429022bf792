"""The report of an experiment: report.md and .html, table.* (cells.*), figure.png and .pdf."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ir_lightning.build import refuse_untrusted
from ir_lightning.files import atomic_write
from ir_lightning.report.content import Content, ReportKind, facts, files_of, markdown, warning
from ir_lightning.report.index import INDEX, REPORTS, build_report, read_index
from ir_lightning.report.kept import IMAGES, RUNS
from ir_lightning.report.page.html import write_page
from ir_lightning.report.runs import Results, Run, collect
from ir_lightning.report.wandb_report import Mode, log_report
from ir_lightning.runs.record import speed_of

KEPT = ("report.md", *(f"{n}.{form}" for n in ("table", "cells") for form in ("md", "csv", "tex")))
OF_RUN = ("config_hash", "git_commit", "dataset", "budget", "iterations", "protocol", "device")


def write_report(
    folder: Path, wandb: Mode = Mode.OFF, keep: Path | None = None, trust: Sequence[str] = ()
) -> list[Path]:
    """Read the runs that a folder's index names, and write what they say beside it.

    Args:
        folder: of the index.
        wandb: whether the report is logged to W&B, too.
        keep: a folder for the numbers and drawings, but no image of a data set; None: nowhere.
        trust: packages, beside this one, whose classes the index may name.

    Raises:
        UsageError: there is no index, it cannot be used, or the runs do not compare.
    """
    report, results = open_report(folder, trust)
    content = report.content(results)
    texts = {"report.md": _text(results, content)}
    for name, table in content.tables.items():
        texts |= files_of(table, name)
    for name, text in texts.items():
        with atomic_write(folder / name) as file:
            file.write(text)
    page = write_page(results, content)
    log_report(results, content, wandb)
    kept = archive(results, content, keep) if keep else []
    return [*(folder / name for name in texts), *content.figures, page, *kept]


def open_report(folder: Path, trust: Sequence[str] = ()) -> tuple[ReportKind, Results]:
    """The report that a folder's index describes, and its runs; raises as :func:`write_report`."""
    node = read_index(folder)["report"]
    refuse_untrusted(node, folder / INDEX, REPORTS.plus(trust))
    return build_report(node, folder / INDEX), collect(folder)


def _text(results: Results, content: Content) -> str:
    lines = [f"# {results.title}", "", *(f"- {k}: {v}" for k, v in facts(results).items())]
    if caution := warning(results):
        lines += ["", caution]
    lines += ["", "## Claims", ""]
    for says, verdicts in content.claims:
        if len(verdicts) == 1:
            (judged,) = verdicts
            where = f" ({judged.where})" if judged.where else ""
            lines.append(f"- **{judged.verdict}**: {says}{where}. {judged.reason}")
        else:
            lines.append(f"- {says}")
            lines += [f"  - {each.where}: **{each.verdict}**. {each.reason}" for each in verdicts]
    if content.caution:
        lines += ["", content.caution]
    pictures = [path.name for path in content.figures if path.suffix == ".png"]
    lines += ["", *(f"![{results.title}]({name})\n" for name in pictures)]
    lines += [*(f"{note}\n" for note in content.notes), "## Numbers", ""]
    lines.append(markdown(content.tables["table"]))
    if "cells" in content.tables:
        lines += ["## Every cell", "", markdown(content.tables["cells"])]
    return "\n".join(lines)


def archive(results: Results, content: Content, place: Path) -> list[Path]:
    """Copy a written report into ``place``, with ``runs.csv`` and ``images.csv``, a row for each.

    A figure that shows images of a data set stays behind, as does the page with its pictures.
    """
    place.mkdir(parents=True, exist_ok=True)
    figures = [] if content.shows_images else [path.name for path in content.figures]
    names = [name for name in (*KEPT, *figures) if (results.folder / name).exists()]
    written = [Path(shutil.copy(results.folder / name, place / name)) for name in names]
    done: list[tuple[dict[str, Any], Run]] = [
        ({**group.cell, "seed": seed}, run)
        for group in results.groups
        for seed, run in group.runs.items()
        if run.finished
    ]
    if not done:
        return written
    runs = pd.DataFrame([_line(cell, run) for cell, run in done], dtype=object)
    images = pd.concat(
        [run.scores.assign(scene=run.scenes).reset_index().assign(**cell) for cell, run in done]
    )
    keys = dict.fromkeys(key for group in results.groups for key in group.cell)
    first = [*keys, "seed", "image", "scene"]
    images = images[[*first, *(name for name in images if name not in first)]]
    for name, table in ((RUNS, runs), (IMAGES, images)):
        with atomic_write(place / name) as file:
            table.to_csv(file, index=False, lineterminator="\n")
        written.append(place / name)
    return written


def _line(cell: dict[str, Any], run: Run) -> dict[str, Any]:
    return {
        **cell,
        **run.record["restored"],
        **{f"degraded_{name}": value for name, value in run.record["degraded"].items()},
        "evaluation_side": run.side,
        "seconds": run.record["seconds"],
        "threads": run.record["threads"],
        "speed": speed_of(run.record),
        "pretrained": run.record.get("pretrained", 0),
        **{key: run.record[key] for key in OF_RUN},
    }
