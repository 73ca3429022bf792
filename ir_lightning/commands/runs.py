"""`ir-lightning runs ...`: what has become of the runs, trying again, and clearing up."""

import json
import shutil
import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from ir_lightning.commands.run_tables import row_of, show_state, table_of
from ir_lightning.errors import RunError, UsageError
from ir_lightning.files import temporaries
from ir_lightning.runs.claim import PENDING
from ir_lightning.runs.state import State, state_of
from ir_lightning.runs.sweeps import directories_of

app = typer.Typer(no_args_is_help=True, help="Look after runs: list, show, retry, clean.")
console = Console(highlight=False)
REFRESH = 2.0  # seconds

Folder = Annotated[Path, typer.Argument(help="The folder of the runs.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="The folder of the runs.")]


class Status(StrEnum):
    """What a run can be."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


def states_in(folder: Path, sweep: str | None = None) -> list[State]:
    """The runs of a folder, or of one sweep in it, by name.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of runs; give its path.")
    places = sorted(folder.iterdir() if sweep is None else directories_of(folder, sweep))
    found = (state_of(place) for place in places if place.is_dir())
    return [state for state in found if state is not None]


@app.command("list")
def list_(
    folder: Folder = Path("runs"),
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    sweep: Annotated[str | None, typer.Option(help="Only the runs of this sweep.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Until all have ended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Show the runs: how far they are, what they scored, why they failed."""

    def chosen() -> list[State]:
        return [s for s in states_in(folder, sweep) if status is None or s.status == status]

    states = chosen()
    if as_json:
        print(json.dumps([row_of(state) for state in states], indent=2))
        return
    if not watch:
        console.print(table_of(states, str(folder)))
        return
    with Live(table_of(states, str(folder)), console=console) as live:
        while any(state.status in ("queued", "running") for state in states):
            try:
                time.sleep(REFRESH)
            except KeyboardInterrupt:
                return
            states = chosen()
            live.update(table_of(states, str(folder)))


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A run's directory, name, hash, or their beginning.")],
    runs: RunsOption = Path("runs"),
) -> None:
    """Show everything about one run."""
    show_state(console, find(run, runs))


def find(run: str, runs: Path) -> State:
    """The run that a path, a name or its beginning, or a config hash stands for.

    Raises:
        UsageError: none does, or several do.
    """
    if state := state_of(Path(run)):
        return state
    states = states_in(runs) if runs.is_dir() else []
    known = [s for s in states if s.run_dir.name.startswith(run) or s.run_dir.name.endswith(run)]
    if len(known) == 1:
        return known[0]
    if not known:
        raise UsageError(f"{run}: there is no such run in {runs}.")
    names = ", ".join(state.run_dir.name for state in known[:5])
    raise UsageError(f"{run} may be any of {len(known)} runs ({names}); give more of its name.")


@app.command()
def retry(
    names: Annotated[list[str] | None, typer.Argument(help="Runs, as in `show`.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed.")] = False,
    runs: RunsOption = Path("runs"),
) -> None:
    """Train failed or interrupted runs again, here, from their last checkpoints."""
    if bool(names) == failed:
        raise UsageError("Name the runs to retry, or give --failed for all that failed.")
    states = [find(name, runs) for name in names or []]
    if failed:
        states = [state for state in states_in(runs) if state.status == "failed"]
    idle = [state for state in states if state.status in ("failed", "queued")]
    for state in states:
        if state not in idle:
            console.print(f"{state.run_dir} is {state.status}.", soft_wrap=True)
    from ir_lightning.run import again

    broken = 0
    for state in idle:
        try:
            again(state.run_dir)
        except RunError as error:
            console.print(f"error: {error}", soft_wrap=True, markup=False)
            broken += 1
    console.print(f"{len(idle) - broken} of {len(idle)} runs finished.")
    raise typer.Exit(1 if broken else 0)


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
    going: list[Path] = []
    for state in states_in(folder):
        if state.status != "running":
            going += _dispensable(state, failed)
    sizes = {path: _size(path) for path in going}
    for path, size in sizes.items():
        console.print(f"{size / 1e6:9.1f} MB  {path}", soft_wrap=True, markup=False)
    if yes:
        for path in going:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    total, done = sum(sizes.values()) / 1e6, "deleted" if yes else "would go; --yes deletes them"
    console.print(f"{len(going)} files and folders ({total:.1f} MB) {done}.")


def _dispensable(state: State, failed: bool) -> Iterable[Path]:
    if failed and state.status in ("failed", "queued"):
        return [state.run_dir]
    left = [*temporaries(state.run_dir), *state.run_dir.glob(f"attempts/{PENDING}*")]
    if state.status == "finished":
        checkpoints = state.run_dir / "checkpoints"
        left += [p for n in ("last.ckpt", "previous.ckpt") if (p := checkpoints / n).exists()]
    return left


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())
