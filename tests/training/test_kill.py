"""Killed with -9 at any moment and started again, a run ends as if nothing had happened.

KILLED_RUNS=20 .venv/bin/python -m pytest tests/training/test_kill.py   # the long form
"""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ir_lightning.training.checkpoint import load_state
from tests.conftest import TIMES
from tests.helpers.killing import MOMENTS, attempt

pytestmark = pytest.mark.slow

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
    [("write", 8), ("signal in validation", 1)],
    [("rename", 5), ("validation", 1)],
    [("signal", 7), ("test", 2)],
]


def faults_of(number: int) -> list[tuple[str, int]]:
    """When a run is killed, and then perhaps killed again."""
    if number < len(CHOSEN):
        return CHOSEN[number]
    draw = np.random.default_rng([2212, number])
    deadly = [moment for moment in MOMENTS if not moment.startswith("signal")]
    moments = [draw.choice(deadly), *draw.choice(list(MOMENTS), size=number % 2)]
    return [(str(m), int(draw.integers(1, MOMENTS[str(m)], endpoint=True))) for m in moments]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


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


# Whatever else has a state: averaged weights, a callback of one's own, the scale of 16-mixed.
STATEFUL = [
    "+callbacks.average._target_=lightning.pytorch.callbacks.EMAWeightAveraging",
    "+callbacks.average.decay=0.9",
    "+callbacks.mine._target_=tests.helpers.killing.Counter",
    "+callbacks.patience._target_=lightning.pytorch.callbacks.EarlyStopping",
    "+callbacks.patience.monitor=val/psnr",
    "+callbacks.patience.mode=max",
    "+callbacks.patience.patience=5",
    "~trainer.precision",
    "+trainer.plugins._target_=lightning.pytorch.plugins.MixedPrecision",
    "+trainer.plugins.precision=16-mixed",
    "+trainer.plugins.device=cpu",
    "+trainer.plugins.scaler._target_=torch.amp.GradScaler",
    "+trainer.plugins.scaler.device=cpu",
    "+trainer.plugins.scaler.init_scale=1e9",  # so that the first steps are skipped ...
    "+trainer.plugins.scaler.growth_interval=3",  # ... and the scale keeps changing
    "optimization.gradient_clip=5.0",
    # float16 is slow on CPUs.
    "depth=1",
    "generator.dropout=0",
    "budget.crop=32",
    "budget.evaluation_side=32",
]
STATEFUL_FAULTS = [
    [("between", 6)],
    [("signal in validation", 2), ("write", 1)],
    [("signal", 4), ("validation", 3), ("test", 1)],
]


def undisturbed_run(tmp_path_factory: pytest.TempPathFactory, *overrides: str) -> Path:
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    assert attempt([*OVERRIDES, *overrides, f"run_dir={run_dir}"]) == 0
    return run_dir


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return undisturbed_run(tmp_path_factory)


@pytest.fixture(scope="module")
def stateful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return undisturbed_run(tmp_path_factory, *STATEFUL)


def kill(run_dir: Path, faults: list[tuple[str, int]], overrides: list[str]) -> None:
    """Kill a run at each of these moments, and then let it end."""
    overrides = [*overrides, f"run_dir={run_dir}"]
    code, ends = 1, []
    for fault in faults:
        code = attempt(overrides, fault)
        ends.append(code)
    assert ends[0] in (-9, 143), "the first one always comes"
    if code != 0:  # a second one may be planned for a moment that does not come any more
        assert attempt(overrides) == 0
    print(faults, ends)


def assert_same(undisturbed: Path, run_dir: Path) -> None:
    both = (undisturbed, run_dir)
    for name in ("last.ckpt", "best.ckpt"):
        assert_equal(*(load_state(directory / "checkpoints" / name) for directory in both), name)
    assert table(undisturbed / "metrics.csv") == table(run_dir / "metrics.csv")
    rows = [(directory / "test_images.csv").read_bytes() for directory in both]
    assert rows[0] == rows[1]
    assert not list(run_dir.rglob(".*.ckpt.*")), "what the killed process left is cleaned up"


@pytest.mark.parametrize("number", range(RUNS))
def test_a_killed_run_ends_as_the_undisturbed_one(
    number: int, undisturbed: Path, tmp_path: Path
) -> None:
    kill(tmp_path / "run", faults_of(number), OVERRIDES)
    assert_same(undisturbed, tmp_path / "run")


@pytest.mark.parametrize("faults", STATEFUL_FAULTS)
def test_the_states_of_callbacks_and_of_the_precision_survive(
    faults: list[tuple[str, int]], stateful: Path, tmp_path: Path
) -> None:
    kill(tmp_path / "run", faults, [*OVERRIDES, *STATEFUL])
    assert_same(stateful, tmp_path / "run")


def test_those_states_are_in_the_checkpoint(stateful: Path) -> None:
    state = load_state(stateful / "checkpoints" / "last.ckpt")
    images = state["callbacks"]["Counter"].pop("images")
    assert state["callbacks"]["Counter"] == {"iterations": 11, "last batch": 10, "validations": 2}
    assert images > 0
    (patience,) = (v for k, v in state["callbacks"].items() if k.startswith("EarlyStopping"))
    assert patience["best_score"] > 0
    assert state["averaging_state"]["n_averaged"] == ITERATIONS
    averaged, current = state["state_dict"], state["current_model_state"]
    names = [name for name in averaged if name.endswith("weight")]
    assert not any(torch.equal(averaged[name], current[name]) for name in names)
    assert 0 < state["MixedPrecision"]["scale"] < 1e9, "steps have been skipped"
