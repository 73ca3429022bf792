"""``report.html``: a whole report in one file that needs no network, without date or path."""

import os
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ir_lightning.data.image_files import image_size
from ir_lightning.files import atomic_write
from ir_lightning.report.content import Content, facts, lines_of, warning
from ir_lightning.report.figures.training_curves import draw_curves
from ir_lightning.report.page.pictures import QUALITY, Pictures, choose_pictures, data_uri
from ir_lightning.report.runs import ReportedMetric, Results, Run
from ir_lightning.runs.record import CURVE, RESULT, TEST_IMAGES

HERE = Path(__file__).parent
PAGE = "report.html"
FILES = ("config.yaml", RESULT, CURVE, TEST_IMAGES)
ABSOLUTE = re.compile(r"(?<![\w.~/…])(?:~|[A-Za-z]:(?=[\\/]))?[\\/](?:[^\s'\":,;=\\/]+[\\/])+")
"""The folders of a path from the root or home of one computer, which mean nothing elsewhere."""


def write_page(results: Results, content: Content) -> Path:
    """Write ``report.html`` beside the experiment's index."""
    figures = [path for path in content.figures if path.suffix == ".png"]
    metrics = [results.metric(name) for name in content.metrics]
    pictures = choose_pictures(content.cells, metrics)
    script = (HERE / "page.js").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,  # everything that a run or an experiment says
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("page.html.j2").render(
        results=results,
        facts=facts(results),
        warning=warning(results),
        claims=content.claims,
        caution=content.caution,
        tables=[_rows(table) for table in content.tables.values()],
        figures=[(data_uri("image/png", p.read_bytes()), image_size(p)[1]) for p in figures],
        notes=[note.removeprefix("- ") for note in content.notes],
        curves=[
            (drawing, data_uri("image/svg+xml", drawing.svg))
            for drawing in draw_curves(content.cells, metrics[0])
        ],
        pictures=pictures,
        crops_note=_crops_note(pictures),
        cells=[
            (cell, [_row(*run, results.folder, metrics) for run in cell.group.runs.items()])
            for cell in content.cells
        ],
        style=(HERE / "page.css").read_text("utf-8"),
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode("ascii"),
    )
    with atomic_write(results.folder / PAGE) as file:
        file.write(text)
    return results.folder / PAGE


def _crops_note(pictures: Pictures) -> str:
    side = pictures.album.side
    note = (
        f"Shown: at most {side} × {side} pixels from the centre, pixel by pixel (narrow screens "
        f"shrink them), as JPEG of quality {QUALITY} with full colour resolution; the lossless "
        f"images lie in images/gallery of each run. Scores are those of the whole images."
    )
    if pictures.left_out:
        note += f" {pictures.left_out} pictures were left out, so that the page stays small."
    if pictures.broken:
        note += f" {pictures.broken} pictures could not be read."
    return note


def _rows(table: pd.DataFrame) -> list[list[str]]:
    """A table without the columns that have no entry in any row."""
    used = [n == 0 or bool(table.iloc[:, n].any()) for n in range(len(table.columns))]
    return lines_of(table.loc[:, used])


def _row(
    seed: int, run: Run, folder: Path, metrics: Iterable[ReportedMetric]
) -> dict[str, int | str | dict[str, str]]:
    """A run as the page in ``folder`` shows it, with links relative to that."""
    scores = [m.words(run.mean(m.name)) for m in metrics if m.name in run.scores]
    place = Path(os.path.relpath(run.directory, folder.resolve())).as_posix()
    there = [name for name in FILES if (run.directory / name).is_file()]
    return {
        "seed": seed,
        "status": str(run.record.get("status", "not begun")),
        "scores": ", ".join(scores),
        "links": {name: quote(f"{place}/{name}", safe="/=,+") for name in there},
        "provenance": _provenance(run.record),
    }


def _provenance(record: Mapping[str, Any]) -> dict[str, str]:
    """What a run's record says about how it was made; what it does not say is left out."""
    processes, threads = record.get("processes"), record.get("threads")
    entries = {
        "reason": record.get("reason"),
        "config hash": record.get("config_hash"),
        "overrides": " ".join(map(str, record.get("overrides") or [])),
        "git commit": record.get("git_commit"),
        "data set": record.get("dataset"),
        "test images": record.get("images"),
        "SHA-256 of their names": (record.get("splits") or {}).get("test", {}).get("sha256"),
        "protocol": record.get("protocol"),
        "budget": record.get("budget"),
        "iterations": record.get("iterations"),
        "seconds": record.get("seconds"),
        "device": record.get("device"),
        "machine": _pairs(record.get("machine")),
        "processes, threads": None if None in (processes, threads) else f"{processes}, {threads}",
        "parameters": _pairs(record.get("parameters")),
        "multiply-adds, 256 × 256": _grouped(record.get("multiply_adds")),
        "best validation": _pairs(record.get("best_validation")),
        "D saturated at": record.get("d_saturated_at"),
        "attempt": record.get("attempt"),
        "versions": _pairs(record.get("versions")),
    }
    return {key: portable(str(value)) for key, value in entries.items() if value not in (None, "")}


def portable(text: str) -> str:
    """A text without the folders of one computer.

    >>> portable("paths.runs=/home/ada/runs depth=3")
    'paths.runs=…/runs depth=3'
    """
    return ABSOLUTE.sub("…/", text)


def _pairs(values: Any) -> str:
    entries = values.items() if isinstance(values, Mapping) else ()
    return ", ".join(f"{key} {_grouped(value)}" for key, value in entries)


def _grouped(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value or "")
