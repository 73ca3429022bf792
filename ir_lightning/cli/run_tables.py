"""How runs are shown: a line each, or one with everything about it."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from textwrap import shorten
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ir_lightning.runs.claim import CLAIM, END, Attempt
from ir_lightning.runs.evaluations import EVALUATIONS, later_evaluations
from ir_lightning.runs.record import budget_of, gained, score_cells
from ir_lightning.runs.state import State, tail

COLOURS = {"queued": "yellow", "running": "cyan", "finished": "green", "failed": "red"}
LOG_LINES = 12
REASON = 100  # characters of a reason in a table; `show` and JSON have it whole
ONE_BY_ONE = ("checkpoints", "images")  # folders whose files are named; of others, the total
ELSEWHERE = (
    *("status", "reason", "log", "degraded", "restored", "scores", "versions", "splits"),
    "evaluations",
)


def row_of(state: State) -> dict[str, Any]:
    """A run's line, as plain values.

    PSNR and its gain are in dB, the heartbeat in seconds; ``restored`` are the means of all
    metrics by the run's first protocol.
    """
    record = state.record
    row: dict[str, Any] = {
        "run": state.run_dir.name,
        "label": record.get("label"),
        "directory": str(state.run_dir),
        "sweep": record.get("sweep"),
        "config_hash": record.get("config_hash"),
        "status": state.status,
        "iteration": state.iteration,
        "iterations": _budget(state.run_dir),
        "psnr": None,
        "gain": None,
        "restored": None,
        "heartbeat": None,
        "owner": None,
        "reason": state.reason,
        "log": str(state.log) if state.log else None,
    }
    if state.status == "finished":
        row["psnr"], row["gain"] = _psnr(record)
        row["restored"] = record.get("restored")
    if state.status == "running" and state.attempt:
        row["heartbeat"], row["owner"] = round(state.attempt.age, 1), str(state.attempt.owner)
    return row


def table_of(states: list[State], title: str) -> Table:
    """The table of many runs. One of a sweep goes by what it has of its own, and its hash."""
    counts: Counter[str] = Counter(state.status for state in states)
    counted = ", ".join(f"{counts[status]} {status}" for status in COLOURS if counts[status])
    table = Table(title=_text(f"{title}: {counted or 'no runs'}"), title_justify="left")
    table.add_column("run", overflow="fold")
    table.add_column("status")
    done = [state.record if state.status == "finished" else {} for state in states]
    scores = [score_cells(record) for record in done]
    columns = list(dict.fromkeys(column for cells in scores for column in cells))
    for column in ("iteration", *columns):
        table.add_column(column, justify="right")
    table.add_column("", overflow="fold")
    for state, cells in zip(states, scores, strict=True):
        row = row_of(state)
        name = f"{row['label']} {row['config_hash']}" if row["label"] else row["run"]
        about = shorten(row["reason"], REASON, placeholder=" ...")
        if state.status == "running":
            about = f"{row['owner']}, heard of {row['heartbeat']:.0f} s ago"
        table.add_row(
            _text(name),
            Text(state.status, COLOURS.get(state.status, "")),
            f"{row['iteration']}/{row['iterations'] or '?'}",
            *(cells.get(column, "") for column in columns),
            _text(about),
        )
    return table


def show_state(console: Console, state: State) -> None:
    """Everything about one run."""
    record, log = state.record, state.log
    said: list[tuple[str, Any]] = [
        ("status", state.status),
        ("reason", state.reason),
        ("log", log or record.get("log")),
        ("iteration", f"{state.iteration}/{_budget(state.run_dir) or '?'}"),
        *((key, value) for key, value in record.items() if key not in ELSEWHERE),
    ]
    if isinstance(versions := record.get("versions"), dict):
        said.append(("versions", ", ".join(f"{name} {v}" for name, v in versions.items())))
    table = Table.grid(padding=(0, 2))
    for key, value in said:
        if value not in (None, "", {}, []):
            table.add_row(key, _text(json.dumps(value) if isinstance(value, dict) else value))
    console.print(_text(state.run_dir), style="bold", soft_wrap=True)
    console.print(table)
    if state.status == "finished":
        _show_scores(console, state)
    for line in (*_attempts(state.run_dir), *_files(state.run_dir)):
        console.print(_text(line), soft_wrap=True)
    if log is not None and state.status != "finished":
        console.print(_text(f"The last lines of {log}:"), soft_wrap=True)
        for line in tail(log)[-LOG_LINES:]:
            console.print(_text(f"  {line}"), soft_wrap=True)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def _show_scores(console: Console, state: State) -> None:
    from ir_lightning.launch.attempt import show

    try:
        show(state.record, state.run_dir)
        for name, record in later_evaluations(state.run_dir).items():
            show(record, state.run_dir / EVALUATIONS / name)
    except (KeyError, TypeError, ValueError, AttributeError):
        console.print("The record holds no scores that can be read.")


def _attempts(run_dir: Path) -> list[str]:
    found = [p for p in (run_dir / "attempts").glob("*") if p.name.isdecimal()]
    told = []
    for attempt in (Attempt(path) for path in sorted(found, key=lambda path: int(path.name))):
        try:
            began = datetime.fromtimestamp((attempt.directory / CLAIM).stat().st_mtime)
        except OSError:
            continue  # damaged: nobody knows whose it was
        end = "under way" if attempt.alive() else "ended without a word"
        try:
            ended = json.loads((attempt.directory / END).read_text("utf-8"))
            end = ": ".join(str(ended[key]) for key in ("status", "reason") if key in ended)
        except (OSError, ValueError, TypeError):
            pass
        began_at = began.isoformat(" ", "seconds")
        told.append(f"attempt {attempt.number}: {attempt.owner}, began {began_at}, {end}")
    return told


def _files(run_dir: Path) -> list[str]:
    parts: list[Path] = []
    for path in sorted(run_dir.iterdir()):
        parts += sorted(path.iterdir()) if path.name in ONE_BY_ONE and path.is_dir() else [path]
    return [
        f"{size_of(path) / 1e6:9.3f} MB  {path.relative_to(run_dir)}{'/' * path.is_dir()}"
        for path in parts
    ]


def _budget(run_dir: Path) -> int | None:
    """The iterations that a run is to have; None before it was begun."""
    try:
        return int(budget_of(run_dir)["iterations"])
    except (KeyError, TypeError, ValueError):
        return None


def _psnr(record: dict[str, Any]) -> tuple[float | None, float | None]:
    """Restored PSNR and gain; an infinite one is a string in the record."""
    try:
        return float(record["restored"]["psnr"]), gained(record)
    except (KeyError, TypeError, ValueError):
        return None, None


def _text(value: Any) -> Text:
    """Somebody's text as it is: no markup, and nothing that a terminal takes for a command."""
    return Text("".join(c if c.isprintable() else " " for c in str(value)), overflow="fold")
