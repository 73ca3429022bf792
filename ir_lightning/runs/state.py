"""Runs as their directories show them: the state of one, those of a sweep, runs by names."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.runs.claim import Attempt, latest_attempt
from ir_lightning.runs.record import CURVE, FAILURE, LOG, read_result

Status = Literal["queued", "running", "finished", "failed"]
TAIL = 16384  # bytes of a long file that are read from its end
DIED = (
    "its process ended without a word (killed, out of memory, or the machine went down); "
    "the same command goes on from the last checkpoint"
)


@dataclass(frozen=True)
class State:
    """A run as it is now."""

    run_dir: Path
    status: Status
    """``queued`` waits to be begun or continued; ``failed`` waits to be asked for again."""
    reason: str
    """Of a failure or of waiting, a sentence; else empty."""
    attempt: Attempt | None
    """The last attempt at it."""
    record: dict[str, Any]

    @property
    def log(self) -> Path | None:
        """What the last attempt said, where it wrote that down."""
        if self.attempt is None:
            return None
        written = (self.attempt.directory / name for name in (LOG, FAILURE))
        return next((path for path in written if path.exists()), None)

    @property
    def iteration(self) -> int:
        """How far it has come, by its training curve."""
        if self.status == "finished":
            return int(self.record.get("iterations", 0) or 0)
        return iteration_of(self.run_dir)


def iteration_of(run_dir: Path) -> int:
    """The last iteration in a run's training curve; 0 where there is none yet."""
    try:
        with (run_dir / CURVE).open(encoding="utf-8") as file:
            header, first = file.readline(), file.readline()
        if not header.startswith("iteration,") or not first:
            return 0
        return int(tail(run_dir / CURVE)[-1].split(",")[0])
    except (OSError, ValueError, IndexError):
        return 0


def tail(path: Path) -> list[str]:
    """The last lines of a file that may be long."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - TAIL))
        return file.read().decode("utf-8", "replace").splitlines()


def state_of(run_dir: Path) -> State | None:
    """The state of the run in a directory; None where there is no run."""
    record, attempt = read_result(run_dir), latest_attempt(run_dir)
    status, reason = record.get("status"), str(record.get("reason", ""))
    if status != "finished" and attempt is not None and attempt.alive():
        return State(run_dir, "running", "", attempt, record)
    if status == "running" or (status is None and attempt is not None):
        return State(run_dir, "failed", DIED, attempt, record)
    if status is None:
        return None
    return State(run_dir, status, reason, attempt, record)


SWEEPS = "sweeps"  # folder of the records, beside the runs


def identity_of(digests: Iterable[str]) -> str:
    """Ten hexadecimal digits that stand for a set of configurations, in any order."""
    return hashlib.sha256(",".join(sorted(digests)).encode()).hexdigest()[:10]


def write_sweep(runs: Path, identity: str, names: list[str]) -> None:
    """Record the directories of a sweep's runs."""
    write_json(runs / SWEEPS / f"{identity}.json", {"runs": names})


def directories_of(runs: Path, identity: str) -> list[Path]:
    """The run directories of a sweep; none where there is no such record."""
    try:
        names = json.loads((runs / SWEEPS / f"{identity}.json").read_text("utf-8"))["runs"]
    except (OSError, ValueError, KeyError):
        return []
    return [runs / name for name in names]


def has_failed(runs: Path, identity: str) -> bool:
    """Whether a run of the sweep has failed."""
    return any(read_result(d).get("status") == "failed" for d in directories_of(runs, identity))


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
    exact = [state for state in states if run in _names(state)]
    known = exact or [s for s in states if any(name.startswith(run) for name in _names(s))]
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
