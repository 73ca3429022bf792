"""Runs of each state."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ir_lightning.runs.record import write_result
from tests.helpers.asking import FINISHED, Hold
from tests.runs.test_claim import somebody


@pytest.fixture
def hold() -> Iterator[Hold]:
    """``hold(run_dir)``: another process that holds the run until it is killed."""
    processes: list[Any] = []

    def begin(run_dir: Path) -> Any:
        processes.append(somebody(run_dir)[0])
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.join()


@pytest.fixture
def folder(tmp_path: Path, hold: Hold) -> Path:
    """One run of each state, and one whose process was killed."""
    write_result(tmp_path / "a", FINISHED)
    write_result(tmp_path / "b", {"status": "queued", "config_hash": "77", "overrides": []})
    write_result(tmp_path / "c", {"status": "failed", "reason": "a [bug]"})
    write_result(tmp_path / "dead", {"status": "running"})
    process = hold(tmp_path / "dead")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (tmp_path / "no run").mkdir()
    return tmp_path
