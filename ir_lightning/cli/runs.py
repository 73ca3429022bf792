"""`ir-lightning runs ...`: what has become of the runs, trying again, and clearing up."""

import json
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from ir_lightning.cli.run_tables import row_of, show_state, size_of, table_of
from ir_lightning.errors import RunError, Stopped, StorageError, UsageError, one_line
from ir_lightning.files import finite
from ir_lightning.launch.error_reporter import FAILED, USAGE
from ir_lightning.runs.state import State, find, states_in

app = typer.Typer(no_args_is_help=True, help="Look after runs: list, show, retry, clean.")
console = Console(highlight=False)
REFRESH = 2.0  # seconds

Trust = Annotated[
    list[str] | None,
    typer.Option(help="A package, such as your own, whose classes may be built. Repeatable."),
]
Folder = Annotated[Path, typer.Argument(help="The folder of the runs.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="The folder of the runs.")]


class Status(StrEnum):
    """What a run can be."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


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

    def chosen(states: list[State]) -> list[State]:
        return [state for state in states if status is None or state.status == status]

    states = states_in(folder, sweep)
    if as_json:
        rows = [row_of(state) for state in chosen(states)]
        print(json.dumps(finite(rows), indent=2, allow_nan=False))
    elif not watch:
        console.print(table_of(chosen(states), str(folder)))
    else:
        try:
            with Live(console=console, auto_refresh=False) as live:
                live.update(table_of(chosen(states), str(folder)), refresh=True)
                while any(state.status in ("queued", "running") for state in states):
                    time.sleep(REFRESH)
                    states = states_in(folder, sweep)
                    live.update(table_of(chosen(states), str(folder)), refresh=True)
        except KeyboardInterrupt:
            return  # seen enough


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A run's path, or its name, hash, label as listed.")],
    runs: RunsOption = Path("runs"),
) -> None:
    """Show everything about one run."""
    show_state(console, find(run, runs))


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
    from ir_lightning.cli.runs_upkeep import resume  # what it needs takes a moment to import

    code = finished = 0
    for state in idle:
        try:
            resume(state.run_dir, trust or ())
            finished += 1
        except (UsageError, RunError) as error:
            print(one_line(error), file=sys.stderr, flush=True)
            code = max(code, USAGE if isinstance(error, UsageError) else FAILED)
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
    states = states_in(folder)
    from ir_lightning.cli.runs_upkeep import delete, dispensable

    total = count = code = 0
    for run, paths in dispensable(folder, states, failed):
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
