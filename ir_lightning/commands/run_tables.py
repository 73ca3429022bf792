"""How runs are shown: a line each, or one with everything about it."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from ir_lightning.runs.claim import ATTEMPTS, CLAIM, END, Attempt
from ir_lightning.runs.state import State

COLOURS = {"queued": "yellow", "running": "cyan", "finished": "green", "failed": "red"}
LOG_LINES = 12


def row_of(state: State) -> dict[str, Any]:
    """A run's line, as plain values: PSNR and gain in dB, heartbeat in seconds."""
    record = state.record
    row: dict[str, Any] = {
        "run": state.run_dir.name,
        "status": state.status,
        "iteration": state.iteration,
        "iterations": _budget(state.run_dir),
        "psnr": None,
        "gain": None,
        "heartbeat": None,
        "owner": None,
        "reason": state.reason,
        "log": str(state.log) if state.log else None,
    }
    if state.status == "finished":
        row["psnr"] = record["restored"]["psnr"]
        row["gain"] = float(record["restored"]["psnr"]) - float(record["degraded"]["psnr"])
    if state.status == "running" and state.attempt:
        row["heartbeat"], row["owner"] = round(state.attempt.age, 1), str(state.attempt.owner)
    return row


def table_of(states: list[State], title: str) -> Table:
    """The live table of many runs."""
    counts: Counter[str] = Counter(state.status for state in states)
    told = ", ".join(f"{counts[status]} {status}" for status in COLOURS if counts[status])
    table = Table(title=f"{title}: {told or 'no runs'}", title_justify="left")
    table.add_column("run", overflow="fold")
    table.add_column("status")
    for column in ("iteration", "PSNR (dB)", "gain (dB)"):
        table.add_column(column, justify="right")
    table.add_column("", overflow="fold")
    for state in states:
        row = row_of(state)
        told = row["reason"]
        if state.status == "running":
            told = f"{row['owner']}, heard of {row['heartbeat']:.0f} s ago"
        table.add_row(
            row["run"],
            f"[{COLOURS[state.status]}]{state.status}",
            f"{row['iteration']}/{row['iterations'] or '?'}",
            "" if row["psnr"] is None else f"{float(row['psnr']):.3f}",
            "" if row["gain"] is None else f"{row['gain']:+.3f}",
            told.replace("[", r"\["),
        )
    return table


def show_state(console: Console, state: State) -> None:
    """Everything about one run."""
    record, hidden = state.record, ("scores", "versions", "splits", "by_dataset", "machine")
    console.print(f"{state.run_dir}: {state.status}", soft_wrap=True, markup=False)
    if state.reason:
        console.print(f"  {state.reason}", soft_wrap=True, markup=False)
    for key, value in record.items():
        if key not in (*hidden, "status", "reason", "degraded", "restored"):
            console.print(f"  {key}: {value}", soft_wrap=True, markup=False)
    for protocol, scores in record.get("scores", {}).items():
        for kind, score in scores.items():
            psnr, ssim = float(score["psnr"]), float(score["ssim"])
            console.print(f"  {protocol} {kind}: {psnr:.3f} dB, {ssim:.4f}")
    versions = record.get("versions", {})
    console.print(f"  versions: {', '.join(f'{k} {v}' for k, v in versions.items())}")
    for attempt in _attempts(state.run_dir):
        console.print(f"  {attempt}", soft_wrap=True, markup=False)
    for path in sorted(p for p in state.run_dir.rglob("*") if p.is_file()):
        if ATTEMPTS not in path.parts:
            size = path.stat().st_size / 1e6
            console.print(f"  {size:9.2f} MB  {path.relative_to(state.run_dir)}", markup=False)
    if state.log and state.status != "finished":
        console.print(f"  The last lines of {state.log}:", soft_wrap=True, markup=False)
        for line in state.log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]:
            console.print(f"    {line}", soft_wrap=True, markup=False)


def _attempts(run_dir: Path) -> list[str]:
    found = [p for p in (run_dir / ATTEMPTS).glob("*") if p.name.isdecimal()]
    told = []
    for path in sorted(found, key=lambda p: int(p.name)):
        attempt = Attempt(path)
        began = datetime.fromtimestamp((path / CLAIM).stat().st_mtime).isoformat(" ", "seconds")
        end = "under way" if attempt.alive() else "ended without a word"
        if (path / END).exists():
            ended = json.loads((path / END).read_text("utf-8"))
            end = ": ".join(ended[key] for key in ("status", "reason") if key in ended)
        told.append(f"attempt {attempt.number}: {attempt.owner}, {began}, {end}")
    return told


def _budget(run_dir: Path) -> int | None:
    """The iterations that a run is to have; None before it was begun."""
    try:
        text = (run_dir / "config.yaml").read_text("utf-8")
        return int(yaml.load(text, Loader=_Loader)["budget"]["iterations"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # hundreds of runs in a second
