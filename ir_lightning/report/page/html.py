"""``report.html``: an experiment's whole report in one file that needs no network.

The same run directories give the same bytes: there is no date and no path of this computer in it.
"""

import csv
import io
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ir_lightning.data.image_files import image_size
from ir_lightning.files import atomic_write
from ir_lightning.report.content import Content
from ir_lightning.report.facts import facts, warning
from ir_lightning.report.figures.training_curves import draw_curves
from ir_lightning.report.naming import NamedCell, named_cells
from ir_lightning.report.page.crops import QUALITY, data_uri
from ir_lightning.report.page.page_runs import Row, row
from ir_lightning.report.page.pictures import Pictures, choose_pictures
from ir_lightning.report.runs import Results

HERE = Path(__file__).parent
PAGE = "report.html"


def write_page(results: Results, content: Content) -> Path:
    """Write ``report.html`` beside the experiment's index.

    Args:
        results: the runs.
        content: what the other forms of the report say, too; its PNGs are shown.

    Raises:
        OSError: a figure cannot be read, or the page cannot be written.
    """
    report, cells = results.report, named_cells(results)
    steps, series = report.get("x", report.get("over")), report.get("series")
    drawings = draw_curves(cells, steps, series if isinstance(series, str) else None)
    figures = [path for path in content.figures if path.suffix == ".png"]
    pictures = choose_pictures(cells)
    style, script = ((HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    template = _environment().get_template("page.html.j2")
    text = template.render(
        results=results,
        facts=facts(results),
        warning=warning(results),
        claims=content.claims,
        caution=content.caution,
        tables=[
            _columns(list(csv.reader(io.StringIO(content.tables[name]))))
            for name in ("table.csv", "cells.csv")
            if name in content.tables
        ],
        figures=[
            (data_uri("image/png", path.read_bytes()), image_size(path)[1]) for path in figures
        ],
        notes=[_note(note) for note in content.notes],
        curves=[(drawing, data_uri("image/svg+xml", drawing.svg)) for drawing in drawings],
        pictures=pictures,
        crops_note=_crops_note(pictures),
        cells=[(cell, _rows(cell, results.folder)) for cell in cells],
        style=style,
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode("ascii"),
    )
    path = results.folder / PAGE
    with atomic_write(path) as file:
        file.write(text)
    return path


def _rows(cell: NamedCell, folder: Path) -> list[Row]:
    return [row(seed, run, folder) for seed, run in sorted(cell.group.runs.items())]


def _environment() -> Environment:
    """Everything that a run or an experiment says is escaped."""
    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _crops_note(pictures: Pictures) -> str:
    """What was done to the pictures, and which are not there."""
    side = pictures.album.side
    said = (
        f"Shown: at most {side} × {side} pixels from the centre, pixel by pixel (narrow screens "
        f"shrink them), as JPEG of quality {QUALITY} with full colour resolution; the lossless "
        f"images lie in images/gallery of each run. Scores are those of the whole images."
    )
    if pictures.left_out:
        said += f" {pictures.left_out} pictures were left out, so that the page stays small."
    if pictures.broken:
        said += f" {pictures.broken} pictures could not be read."
    return said


def _columns(rows: list[list[str]]) -> list[list[str]]:
    """A table without the columns that have no entry in any row."""
    head, *body = rows
    kept = [n for n in range(len(head)) if n == 0 or any(line[n] for line in body)]
    return [[line[n] for n in kept] for line in rows]


def _note(markdown: str) -> str | list[list[str]]:
    """A paragraph, or the rows of a table with its header."""
    if not markdown.startswith("|"):
        return markdown.removeprefix("- ")
    head, _, *body = markdown.strip().splitlines()
    cells = (re.split(r"(?<!\\)\|", line.strip()[1:-1]) for line in (head, *body))
    return [[text.strip().replace("\\|", "|") for text in line] for line in cells]
