"""`ir-lightning runs ...`: what has become of the runs, trying again, and clearing up."""

import json
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ir_lightning.cli.runs_upkeep import delete, dispensable, resume
from ir_lightning.errors import RunError, Stopped, StorageError, UsageError, one_line
from ir_lightning.files import finite
from ir_lightning.launch.attempt import show as show_scores
from ir_lightning.launch.config import FAILED, USAGE
from ir_lightning.runs import record as records
from ir_lightning.runs.claim import ATTEMPTS, CLAIM, END, Attempt
from ir_lightning.runs.state import State, Status, find, states_in, tail

app = typer.Typer(no_args_is_help=True, help="Look after runs: list, show, retry, clean.")
console = Console(highlight=False)
REFRESH = 2.0  # seconds
COLOURS = {"queued": "yellow", "running": "cyan", "finished": "green", "failed": "red"}
LOG_LINES = 12
REASON = 100  # characters of a reason in a table; `show` and JSON have it whole
ONE_BY_ONE = ("checkpoints", "images")  # folders whose files are named; of others, the total
ELSEWHERE = (
    *("status", "reason", "log", "degraded", "restored", "scores", "versions", "splits"),
    "evaluations",
)

Trust = Annotated[
    list[str] | None,
    typer.Option(help="A package, such as your own, whose classes may be built. Repeatable."),
]
Folder = Annotated[Path, typer.Argument(help="The folder of the runs.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="The folder of the runs.")]


def complain(error: UsageError | RunError) -> int:
    """Say an error in a line on stderr; returns its exit code."""
    print(one_line(error), file=sys.stderr, flush=True)
    return USAGE if isinstance(error, UsageError) else FAILED


@app.command("list")
def list_(
    folder: Folder = Path("runs"),
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    sweep: Annotated[str | None, typer.Option(help="Only the runs of this sweep.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Until all have ended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Show the runs: how far they are, what they scored, why they failed."""
    if watch and as_json:
        raise UsageError("--watch shows a table, --json prints once: give one of them.")
    states = states_in(folder, sweep)

    def chosen() -> list[State]:
        return [state for state in states if status is None or state.status == status]

    if as_json:
        rows = [row_of(state) for state in chosen()]
        print(json.dumps(finite(rows), indent=2, allow_nan=False))
    elif not watch:
        console.print(table_of(chosen(), str(folder)))
    else:
        try:
            with Live(console=console, auto_refresh=False) as live:
                live.update(table_of(chosen(), str(folder)), refresh=True)
                while any(state.status in ("queued", "running") for state in states):
                    time.sleep(REFRESH)
                    states = states_in(folder, sweep)
                    live.update(table_of(chosen(), str(folder)), refresh=True)
        except KeyboardInterrupt:
            return  # seen enough


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A run's path, or its name, hash, label as listed.")],
    runs: RunsOption = Path("runs"),
) -> None:
    """Show everything about one run."""
    state = find(run, runs)
    record, log = state.record, state.log
    said = {
        "status": state.status,
        "reason": state.reason,
        "log": log or record.get("log"),
        "iteration": f"{state.iteration}/{_budget(state.run_dir) or '?'}",
    }
    rows = [*said.items(), *((k, value) for k, value in record.items() if k not in ELSEWHERE)]
    if isinstance(versions := record.get("versions"), dict):
        rows.append(("versions", ", ".join(f"{name} {v}" for name, v in versions.items())))
    table = Table.grid(padding=(0, 2))
    for key, value in rows:
        if value not in (None, "", {}, []):
            table.add_row(key, _text(json.dumps(value) if isinstance(value, dict) else value))
    console.print(_text(state.run_dir), style="bold", soft_wrap=True)
    console.print(table)
    if state.status == "finished":
        try:
            show_scores(record, state.run_dir)
            for name, later in records.later_evaluations(state.run_dir).items():
                show_scores(later, state.run_dir / records.EVALUATIONS / name)
        except (KeyError, TypeError, ValueError, AttributeError):
            console.print("The record holds no scores that can be read.")
    lines = _attempts(state.run_dir)
    for path in sorted(state.run_dir.iterdir()):
        one_by_one = path.name in ONE_BY_ONE and path.is_dir()
        for part in sorted(path.iterdir()) if one_by_one else [path]:
            place = f"{part.relative_to(state.run_dir)}{'/' * part.is_dir()}"
            lines.append(f"{size_of(part) / 1e6:9.3f} MB  {place}")
    if log is not None and state.status != "finished":
        lines += [f"The last lines of {log}:", *(f"  {line}" for line in tail(log)[-LOG_LINES:])]
    for line in lines:
        console.print(_text(line), soft_wrap=True)


@app.command()
def retry(
    names: Annotated[list[str] | None, typer.Argument(help="Runs, as in `show`.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed.")] = False,
    runs: RunsOption = Path("runs"),
    trust: Trust = None,
) -> None:
    """Train failed or interrupted runs again, here, from their last checkpoints.

    The exit code is 2 if a run was refused, else 1 if one failed; the others are trained all the
    same.
    """
    if bool(names) == failed:
        raise UsageError("Name the runs to retry, or give --failed for all that failed.")
    if failed:
        states = [state for state in states_in(runs) if state.status == "failed"]
    else:
        found = (find(name, runs) for name in names or [])
        states = list({state.run_dir.resolve(): state for state in found}.values())
    idle = [state for state in states if state.status in ("failed", "queued")]
    for state in states:
        if state not in idle:
            _say(f"{state.run_dir} is {state.status}.")
    code = finished = 0
    for state in idle:
        try:
            resume(state.run_dir, trust or ())
            finished += 1
        except (UsageError, RunError) as error:
            code = max(code, complain(error))
        except Stopped as stop:
            print(f"{stop}; the same command continues.", file=sys.stderr)
            raise
    _say(f"{finished} of {len(idle)} runs finished.")
    raise typer.Exit(code)


@app.command()
def clean(
    folder: Folder = Path("runs"),
    failed: Annotated[
        bool, typer.Option("--failed", help="The whole directories of failed and queued runs, too.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; else only show what would go.")
    ] = False,
) -> None:
    """Delete what nobody needs: leftovers of killed processes, checkpoints of finished runs."""
    total = count = code = 0
    for run, paths in dispensable(folder, states_in(folder), failed):
        sizes = [size_of(path) for path in paths]
        if yes:
            try:
                delete(run, paths)
            except StorageError as error:
                print(f"error: {error}", file=sys.stderr)
                code = FAILED
                continue
        for path, size in zip(paths, sizes, strict=True):
            _say(f"{size / 1e6:9.3f} MB  {path}")
        total, count = total + sum(sizes), count + len(paths)
    done = "deleted" if yes else "would go; --yes deletes them"
    _say(f"{count} files and folders ({total / 1e6:.1f} MB) {done}.")
    raise typer.Exit(code)


def _say(sentence: str) -> None:
    console.print(sentence, soft_wrap=True, markup=False)


def row_of(state: State) -> dict[str, Any]:
    """A run's line, as plain values.

    PSNR and its gain are in dB, the heartbeat in seconds; ``restored`` are the means of all
    metrics by the run's first protocol.
    """
    record, finished = state.record, state.status == "finished"
    psnr: float | None = None
    gain: float | None = None
    try:
        if finished:  # an infinite PSNR is a string in the record
            psnr, gain = float(record["restored"]["psnr"]), records.gained(record)
    except (KeyError, TypeError, ValueError):
        pass
    holder = state.attempt if state.status == "running" else None
    return {
        "run": state.run_dir.name,
        "label": record.get("label"),
        "directory": str(state.run_dir),
        "sweep": record.get("sweep"),
        "config_hash": record.get("config_hash"),
        "status": state.status,
        "iteration": state.iteration,
        "iterations": _budget(state.run_dir),
        "psnr": psnr,
        "gain": gain,
        "restored": record.get("restored") if finished else None,
        "heartbeat": round(holder.age, 1) if holder else None,
        "owner": str(holder.owner) if holder else None,
        "reason": state.reason,
        "log": str(state.log) if state.log else None,
    }


def table_of(states: list[State], title: str) -> Table:
    """The table of many runs. One of a sweep goes by what it has of its own, and its hash."""
    counts: Counter[str] = Counter(state.status for state in states)
    counted = ", ".join(f"{counts[status]} {status}" for status in COLOURS if counts[status])
    table = Table(title=_text(f"{title}: {counted or 'no runs'}"), title_justify="left")
    table.add_column("run", overflow="fold")
    table.add_column("status")
    scores = [records.score_cells(s.record) if s.status == "finished" else {} for s in states]
    columns = list(dict.fromkeys(column for cells in scores for column in cells))
    for column in ("iteration", *columns):
        table.add_column(column, justify="right")
    table.add_column("", overflow="fold")
    for state, cells in zip(states, scores, strict=True):
        row = row_of(state)
        about = shorten(row["reason"], REASON, placeholder=" ...")
        if state.status == "running":
            about = f"{row['owner']}, heard of {row['heartbeat']:.0f} s ago"
        table.add_row(
            _text(f"{row['label']} {row['config_hash']}" if row["label"] else row["run"]),
            Text(state.status, COLOURS.get(state.status, "")),
            f"{row['iteration']}/{row['iterations'] or '?'}",
            *(cells.get(column, "") for column in columns),
            _text(about),
        )
    return table


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def _attempts(run_dir: Path) -> list[str]:
    found = [Attempt(p) for p in (run_dir / ATTEMPTS).glob("*") if p.name.isdecimal()]
    told = []
    for attempt in sorted(found, key=lambda attempt: attempt.number):
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


def _budget(run_dir: Path) -> int | None:
    """The iterations that a run is to have; None before it was begun."""
    try:
        return int(records.budget_of(run_dir)["iterations"])
    except (KeyError, TypeError, ValueError):
        return None


def _text(value: Any) -> Text:
    """Somebody's text as it is: no markup, and nothing that a terminal takes for a command."""
    return Text("".join(c if c.isprintable() else " " for c in str(value)), overflow="fold")
