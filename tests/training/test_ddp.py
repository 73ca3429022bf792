"""One run in several processes is the run in one: same gradients, same weights, same scores."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from ir_lightning.launch.config import load_config
from ir_lightning.launch.run import run
from ir_lightning.runs.record import OUTCOME, read_result
from ir_lightning.runs.scores import read_scores
from ir_lightning.training.checkpoint import load_state
from tests.conftest import ROOT, SMALL
from tests.helpers import commands, trees
from tests.helpers.commands import Command

pytestmark = pytest.mark.slow

NARROW = [*SMALL, "threads=1", "depth=2", "norm=instance"]
CPU = "trainer.accelerator=cpu"
TEN = ["budget.iterations=10", "budget.checkpoint_every=10", "budget.batch=2"]


def start(number: int, *overrides: str) -> Command:
    """``train.py`` in so many processes."""
    ddp = ["trainer=ddp", f"trainer.devices={number}"]
    return commands.start(*NARROW, *ddp, CPU, *overrides)


def train(number: int, *overrides: str) -> tuple[int, str]:
    """Exit code and stderr."""
    code, _, err = start(number, *overrides).end()
    return code, err


def train_here(*overrides: str) -> None:
    """The same in this process, and in it alone."""
    given = [*NARROW, CPU, *overrides]
    assert run(load_config(given), given)["status"] == "finished"


def flat(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def assert_close(a: list[torch.Tensor], b: list[torch.Tensor]) -> None:
    """To 1e-6 of the whole. Alone, a bias before a norm has no gradient but rounding."""
    one, other = flat(a), flat(b)
    assert one.dtype == torch.float64
    assert one.norm() > 0
    assert (one - other).norm() / one.norm() < 1e-6


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    train_here(*TEN, f"run_dir={tmp_path}/1", "trainer.precision=64-true")
    # As a user starts it; the others are forks (see commands.py), and so are their ranks.
    ddp = ["trainer=ddp", "trainer.devices=2", "trainer.precision=64-true"]
    command = [sys.executable, "train.py", *NARROW, *ddp, CPU, *TEN, f"run_dir={tmp_path}/2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, two = (load_state(tmp_path / n / "checkpoints" / "last.ckpt") for n in ("1", "2"))
    for network in ("generator", "discriminator"):
        names = [name for name in one["state_dict"] if name.startswith(network)]
        assert_close(*([state["state_dict"][name] for name in names] for state in (one, two)))
    for optimizer in (0, 1):  # Adam's first moment is the mean of the gradients
        moments: list[Any] = [s["optimizer_states"][optimizer]["state"] for s in (one, two)]
        assert_close(*([moment[key]["exp_avg"] for key in sorted(moment)] for moment in moments))
    assert read_result(tmp_path / "2")["processes"] == 2
    assert read_result(tmp_path / "1")["config_hash"] == read_result(tmp_path / "2")["config_hash"]


@pytest.fixture
def witnessed(tmp_path: Path) -> list[str]:
    witness = "+callbacks.witness"
    return [
        f"{witness}._target_=tests.helpers.witness.Witness",
        f"{witness}.folder={tmp_path}/seen",
    ]


def test_replicas_are_bit_equal_and_see_different_crops(
    witnessed: list[str], tmp_path: Path
) -> None:
    dropout = ["generator.dropout=0.5", "depth=6"]  # no smaller one has any
    code, err = train(2, *TEN, *witnessed, f"run_dir={tmp_path}/run", *dropout)
    assert code == 0, err
    first, second = (load_state(tmp_path / "seen" / f"{rank}.pt") for rank in (0, 1))
    for name, value in first["system"].items():
        if name not in (
            "d_saturated_for",
            "d_saturated_at",
        ):  # each counts by the patches that it has seen
            assert torch.equal(value, second["system"][name]), name
    for a, b in zip(first["crops"], second["crops"], strict=True):
        assert not torch.equal(a, b)


def test_every_image_counts_once_on_any_number_of_processes(tmp_path: Path) -> None:
    trees.pairs(tmp_path / "train", 4)
    trees.pairs(tmp_path / "test", 7)
    data = ["dataset=pairs", f"dataset.train_dir={tmp_path}/train"]
    data += [f"dataset.test_dir={tmp_path}/test", "budget.test_images=null", "budget.batch=6"]
    train_here(*data, f"run_dir={tmp_path}/1")
    rows = (tmp_path / "1" / "test_images.csv").read_bytes()
    assert len(set(read_scores(tmp_path / "1")["image"])) == 7
    for number in (2, 3):
        shutil.copytree(tmp_path / "1", tmp_path / str(number))
        for name in OUTCOME:  # trained, and cut off before the test
            (tmp_path / str(number) / name).unlink()
        code, err = train(number, *data, f"run_dir={tmp_path}/{number}")
        assert code == 0, err
        assert (tmp_path / str(number) / "test_images.csv").read_bytes() == rows
        grids = [(tmp_path / n / "images" / "grid.png").read_bytes() for n in ("1", str(number))]
        assert grids[0] == grids[1]


def test_a_failure_of_rank_0_ends_all(witnessed: list[str], tmp_path: Path) -> None:
    began = time.monotonic()
    fault = "+callbacks.witness.fail_at=3"
    code, err = train(2, *TEN, *witnessed, fault, f"run_dir={tmp_path}/run")
    assert code not in (0, None)
    assert time.monotonic() - began < 120  # 9 s; the other rank would wait for 30 minutes
    assert "a bug on rank 0" in err
    record = read_result(tmp_path / "run")
    assert (record["status"], record["reason"]) == ("failed", "RuntimeError: a bug on rank 0")


def test_processes_of_different_configurations_refuse_each_other(tmp_path: Path) -> None:
    own = "seed='${oc.decode:${oc.env:LOCAL_RANK,0}}'"
    code, err = train(2, *TEN, f"run_dir={tmp_path}/run", own)
    assert code == 2
    assert "different configurations" in err


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    code, err = train(2, *TEN, "budget.batch=3", f"run_dir={tmp_path}/run")
    assert code == 2
    assert "budget.batch=3" in err


def test_processes_stop_together_and_continue_to_the_same_end(tmp_path: Path) -> None:
    long = [*TEN, "budget.iterations=30", "budget.checkpoint_every=10", "checkpoint.minutes=0"]
    code, err = train(2, *long, f"run_dir={tmp_path}/whole")
    assert code == 0, err
    process = start(2, *long, f"run_dir={tmp_path}/stopped")
    saved = tmp_path / "stopped" / "checkpoints" / "last.ckpt"
    while not saved.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    code, _, err = process.end(timeout=120)
    assert code == 128 + signal.SIGTERM, err
    stopped_at = load_state(saved)["iteration"]
    assert 0 < stopped_at < 30
    assert read_result(tmp_path / "stopped")["status"] == "queued"
    code, err = train(2, *long, f"run_dir={tmp_path}/stopped")
    assert code == 0, err
    ends = [load_state(tmp_path / n / "checkpoints" / "last.ckpt") for n in ("whole", "stopped")]
    for name, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][name]), name
