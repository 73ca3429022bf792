"""Which runs belong to a sweep, on disk, for whoever works on one of them."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from ir_lightning.files import write_json
from ir_lightning.runs.result import read_result

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
