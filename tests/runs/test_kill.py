"""Killed with -9 at any moment and started again, a run ends as if nothing had happened.

KILLED_RUNS=20 .venv/bin/python -m pytest tests/runs/test_kill.py   # the long form
"""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ir_lightning.runs.checkpoint import load_state
from tests.runs.killing import MOMENTS, attempt

RUNS = int(os.environ.get("KILLED_RUNS", 3))  # every third one is killed twice, as is the second
ITERATIONS = 11
OVERRIDES = [
    f"budget.iterations={ITERATIONS}",
    "budget.checkpoint_every=4",
    "checkpoint.minutes=0",  # after every iteration
    "generator.dropout=0.5",  # randomness inside the network continues, too
    "depth=2",
]
# How often each moment comes in an undisturbed run, give or take.
OFTEN = {"step": 11, "between": 11, "write": 12, "rename": 10, "validation": 3, "test": 2}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_equal(a: Any, b: Any, where: str) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, (one, other) in enumerate(zip(a, b, strict=True)):
            assert_equal(one, other, f"{where}[{index}]")
    else:
        assert a == b, where


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    assert attempt([*OVERRIDES, f"run_dir={run_dir}"]) == 0
    return run_dir


@pytest.mark.parametrize("number", range(RUNS))
def test_a_killed_run_ends_as_the_undisturbed_one(
    number: int, undisturbed: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    overrides = [*OVERRIDES, f"run_dir={run_dir}"]
    draw = np.random.default_rng([2212, number])
    kills = 2 if number % 3 != 0 else 1
    for kill in range(kills):
        moment = MOMENTS[(2 * number + kill) % len(MOMENTS)]
        fault = (moment, int(draw.integers(1, OFTEN[moment], endpoint=True)))
        code = attempt(overrides, fault)
        # A second kill may be planned for a moment that the first one has left too late for.
        assert code == -9 or (kill and code == 0), fault
    if code != 0:
        assert attempt(overrides) == 0

    both = (undisturbed, run_dir)
    for name in ("last.ckpt", "best.ckpt"):
        assert_equal(*(load_state(directory / "checkpoints" / name) for directory in both), name)
    assert table(undisturbed / "metrics.csv") == table(run_dir / "metrics.csv")
    rows = [(directory / "test_images.csv").read_bytes() for directory in both]
    assert rows[0] == rows[1]
    assert not list(run_dir.rglob(".*.ckpt.*")), "what the killed process left is cleaned up"
