"""``report.html``: a whole report in one file that needs no network, without date or path."""

import os
import re
from base64 import b64encode
from collections.abc import Mapping
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
from ir_lightning.report.page.pictures import QUALITY, choose_pictures, data_uri
from ir_lightning.report.runs import Results
from ir_lightning.runs.record import CURVE, RESULT, TEST_IMAGES, speed_of

HERE = Path(__file__).parent
PAGE = "report.html"
FILES = ("config.yaml", RESULT, CURVE, TEST_IMAGES)
ABSOLUTE = re.compile(r"(?<![\w.~/…])(?:~|[A-Za-z]:(?=[\\/]))?[\\/](?:[^\s'\":,;=\\/]+[\\/])+")
"""The folders of a path from the root or home of one computer, which mean nothing elsewhere."""


def write_page(results: Results, content: Content) -> Path:
    """Write ``report.html`` beside the experiment's index."""
    figures = [path for path in content.figures if path.suffix == ".png"]
    metrics = [results.metric(name) for name in content.metrics]
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
        pictures=choose_pictures(content.cells, metrics),
        quality=QUALITY,
        cells=content.cells,
        metrics=metrics,
        links=_links,
        provenance=_provenance,
        style=(HERE / "page.css").read_text("utf-8"),
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode("ascii"),
    )
    with atomic_write(results.folder / PAGE) as file:
        file.write(text)
    return results.folder / PAGE


def _rows(table: pd.DataFrame) -> list[list[str]]:
    """A table without the columns that have no entry in any row."""
    used = [n == 0 or bool(table.iloc[:, n].any()) for n in range(len(table.columns))]
    return lines_of(table.loc[:, used])


def _links(run_dir: Path, folder: Path) -> dict[str, str]:
    """Files of a run to their addresses, as seen from the page in ``folder``."""
    place = Path(os.path.relpath(run_dir, folder.resolve())).as_posix()
    there = [name for name in FILES if (run_dir / name).is_file()]
    return {name: quote(f"{place}/{name}", safe="/=,+") for name in there}


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
        "speed": record.get("device") and speed_of(record),
        "why not recorded": record.get("not_recorded"),
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
