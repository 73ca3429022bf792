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

from ir_lightning.training.checkpoint import load_state
from tests.helpers.killing import MOMENTS, attempt

RUNS = int(os.environ.get("KILLED_RUNS", 4))
ITERATIONS = 11
OVERRIDES = [
    f"budget.iterations={ITERATIONS}",
    "budget.checkpoint_every=4",
    "checkpoint.minutes=0",  # after every iteration
    "generator.dropout=0.5",  # randomness inside the network continues, too ...
    "depth=6",  # ... and this is the smallest that has any
]
# The first few look where it is easiest to be wrong; the others are drawn.
CHOSEN = [
    [("between", 6)],
    [("write", 8), ("asked in validation", 1)],
    [("rename", 5), ("validation", 1)],
    [("asked", 7), ("test", 2)],
]


def faults_of(number: int) -> list[tuple[str, int]]:
    """When a run is killed, and then perhaps killed again."""
    if number < len(CHOSEN):
        return CHOSEN[number]
    draw = np.random.default_rng([2212, number])
    deadly = [moment for moment in MOMENTS if not moment.startswith("asked")]
    moments = [draw.choice(deadly), *draw.choice(list(MOMENTS), size=number % 2)]
    return [(str(m), int(draw.integers(1, MOMENTS[str(m)], endpoint=True))) for m in moments]


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
    code, ends = 1, []
    for fault in faults_of(number):
        code = attempt(overrides, fault)
        ends.append(code)
    assert ends[0] in (-9, 143), "the first one always comes"
    if code != 0:  # a second one may be planned for a moment that does not come any more
        assert attempt(overrides) == 0
    print(number, faults_of(number), ends)

    both = (undisturbed, run_dir)
    for name in ("last.ckpt", "best.ckpt"):
        assert_equal(*(load_state(directory / "checkpoints" / name) for directory in both), name)
    assert table(undisturbed / "metrics.csv") == table(run_dir / "metrics.csv")
    rows = [(directory / "test_images.csv").read_bytes() for directory in both]
    assert rows[0] == rows[1]
    assert not list(run_dir.rglob(".*.ckpt.*")), "what the killed process left is cleaned up"
