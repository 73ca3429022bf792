"""Runs by what people call them."""

from pathlib import Path

from ir_lightning.errors import UsageError
from ir_lightning.runs.state import State, state_of
from ir_lightning.runs.sweeps import directories_of


def states_in(folder: Path, sweep: str | None = None) -> list[State]:
    """The runs of a folder, or of one sweep in it, by name.

    Raises:
        UsageError: there is no such folder, or no such sweep.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of runs; give its path.")
    places = list(folder.iterdir()) if sweep is None else directories_of(folder, sweep)
    if sweep is not None and not places:
        raise UsageError(f"--sweep {sweep}: {folder} has no sweep of this name.")
    found = (state_of(place) for place in sorted(places) if not place.name.startswith("."))
    return [state for state in found if state is not None]


def find(run: str, runs: Path) -> State:
    """The run that a path, a name, label or config hash, or the beginning of one stands for.

    Raises:
        UsageError: none does, or several do.
    """
    if run and (state := state_of(Path(run))):
        return state
    states = states_in(runs) if runs.is_dir() and run else []
    names = [_names(state) for state in states]
    exact = [s for s, its in zip(states, names, strict=True) if run in its]
    near = [s for s, its in zip(states, names, strict=True) if any(n.startswith(run) for n in its)]
    known = exact or near
    if not known:
        raise UsageError(f"{run}: there is no such run in {runs}.")
    if len(known) > 1:
        first = ", ".join(state.run_dir.name for state in known[:5])
        raise UsageError(f"{run} may be any of {len(known)} runs ({first}); give more of its name.")
    return known[0]


def _names(state: State) -> list[str]:
    """What a run goes by; its hash stands at the end of its name, too."""
    record = state.record
    of_record = [str(record[key]) for key in ("label", "config_hash") if record.get(key)]
    return [state.run_dir.name, state.run_dir.name.rpartition("-")[2], *of_record]
