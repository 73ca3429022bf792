"""What has become of a run, from what its directory says: queued, running, finished or failed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ir_lightning.runs.claim import Attempt, latest_attempt
from ir_lightning.runs.result import CURVE, FAILURE, LOG, read_result

Status = Literal["queued", "running", "finished", "failed"]
TAIL = 16384  # bytes of a long file that are read from its end
DIED = (
    "its process ended without a word (killed, out of memory, or the machine went down); "
    "the same command goes on from the last checkpoint"
)


@dataclass(frozen=True)
class State:
    """A run as it is now.

    Attributes:
        run_dir: its directory.
        status: ``queued`` waits to be begun or continued; ``failed`` waits to be asked for again.
        reason: of a failure or of waiting, a sentence; else empty.
        attempt: the last attempt at it, if there was one.
        record: ``result.json``.
    """

    run_dir: Path
    status: Status
    reason: str
    attempt: Attempt | None
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
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
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
