"""A sweep checks first, survives what becomes of its runs, and says what has."""

import json
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ir_lightning.launch.sweep import BASIC, tell_speed
from ir_lightning.runs.record import read_result
from ir_lightning.runs.state import state_of
from tests.conftest import SMALL
from tests.helpers import commands, trees
from tests.helpers.commands import Command

pytestmark = pytest.mark.slow

ONE = [*SMALL, "threads=1"]
SEEDS = range(2, 8)  # those from 4 on have faults


def start(*overrides: str) -> Command:
    """``train.py -m`` with overrides."""
    return commands.start(*ONE, *overrides, "-m", COLUMNS="200")


def runs_in(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/result.json"))


def test_nothing_starts_when_one_configuration_cannot_work(tmp_path: Path) -> None:
    code, _, err = start(f"paths.runs={tmp_path}", "depth=3,6,9", "budget.crop=48").end()
    assert code == 2
    assert "depth=6: " in err
    assert "budget.crop=64" in err
    assert "depth=9: " in err
    assert "2 of 3" in err
    assert not runs_in(tmp_path)


def test_several_devices_inside_a_local_sweep_are_refused(tmp_path: Path) -> None:
    ddp = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "norm=instance"]
    code, _, err = start(f"paths.runs={tmp_path}", *ddp, "budget.batch=2", "depth=1,2").end()
    assert code == 2
    for word in ("trainer.devices=2", "slurm_ddp", "Ray"):
        assert word in err


@pytest.fixture
def faulty(tmp_path: Path) -> list[str]:
    """6 runs, 4 of which fail: a bug, a loss that is not a number, kill -9, a broken image."""
    (tmp_path / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "conf" / "loss" / "faulty.yaml").write_text(
        "defaults:\n  - lsgan\nfault:\n  _target_: tests.helpers.faults.Fault\n  seed: ${seed}\n"
        f"  mended: {tmp_path}/mended\n  diary: {tmp_path}/diary\n"
    )
    for name in ("train", *(f"test_{seed}" for seed in SEEDS)):
        trees.pairs(tmp_path / name)
    broken = tmp_path / "test_7" / "clean" / "1.png"
    broken.write_bytes(broken.read_bytes()[:-700])  # its header still tells a size
    return [
        f"hydra.searchpath=[file://{tmp_path}/conf]",
        f"paths.runs={tmp_path}/runs",
        "loss=faulty",
        "dataset=pairs",
        f"dataset.train_dir={tmp_path}/train",
        f"dataset.test_dir={tmp_path}/test_${{seed}}",
        "depth=1",
        f"seed={','.join(map(str, SEEDS))}",
    ]


def test_a_sweep_with_faults_and_two_controllers(faulty: list[str], tmp_path: Path) -> None:
    ends = [controller.end() for controller in [start(*faulty), start(*faulty)]]
    runs = runs_in(tmp_path / "runs")
    states = {read_result(run)["seed"]: state_of(run) for run in runs}
    assert sorted(states) == list(SEEDS)
    assert {s: state.status for s, state in states.items() if state} == {
        seed: "finished" if seed < 4 else "failed" for seed in SEEDS
    }
    reasons = [states[seed].reason for seed in range(4, 8)]  # type: ignore[union-attr]
    for reason, words in zip(
        reasons,
        ("RuntimeError: a bug", "not finite at iteration 1", "SIGKILL", "1.png"),
        strict=True,
    ):
        assert words in reason
    log = states[4].log  # type: ignore[union-attr]
    assert log is not None
    assert "Traceback" in log.read_text()
    trained = Counter((tmp_path / "diary").read_text().split())
    assert trained == Counter(map(str, SEEDS)), "none runs twice"

    assert max(code for code, *_ in ends) == 1
    last_out = max((out for _, out, _ in ends), key=lambda out: out.count("failed: "))
    for words in ("failed: seed=4: RuntimeError", "seed=5", "seed=6", "seed=7", "log.txt"):
        assert words in last_out
    assert "seed=4" in "".join(err for *_, err in ends), "told at once, too"

    (tmp_path / "mended").touch()
    trees.pairs(tmp_path / "test_7")
    code, out, _ = start(*faulty).end()
    assert code == 0, out
    records = [read_result(run) for run in runs]
    assert all(record["status"] == "finished" for record in records)
    again = [record["seed"] for record in records if record["attempt"] == 2]
    assert sorted(again) == [4, 5, 6, 7], "exactly those that had failed"


def test_fail_fast_begins_nothing_more(faulty: list[str], tmp_path: Path) -> None:
    code, out, _ = start(*faulty[:-1], "seed=2,4,3,5", "--fail-fast").end()
    assert code == 1
    assert (tmp_path / "diary").read_text().split() == ["2", "4"]
    states = [read_result(run)["status"] for run in runs_in(tmp_path / "runs")]
    assert Counter(states) == Counter(["finished", "failed", "queued", "queued"])
    assert "queued" in out


def test_a_sweep_that_is_stopped_continues(tmp_path: Path) -> None:
    overrides = [f"paths.runs={tmp_path}", "seed=0,1", "budget.iterations=400", "depth=1"]
    process = start(*overrides, "budget.checkpoint_every=400", "budget.log_every=1")
    curves: list[Path] = []
    deadline = time.monotonic() + 120
    while not curves and time.monotonic() < deadline:  # written 5 s into the training
        curves = list(tmp_path.glob("*/metrics.csv"))
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    code, _, err = process.end()
    assert code == 128 + signal.SIGTERM
    assert err.count("Stopped by SIGTERM") == 1
    (stopped,) = [run for run in runs_in(tmp_path) if (run / "checkpoints" / "last.ckpt").exists()]
    state = state_of(stopped)
    assert state is not None
    assert state.status == "queued"
    assert "saved" in state.reason
    record = json.loads((stopped / "attempts" / "1" / "end.json").read_text())
    assert record["status"] == "queued"


LAUNCHERS = {
    "basic": {"_target_": BASIC},
    "slurm": {"_target_": "elsewhere.Slurm", "gpus_per_node": 1},
    "slurm on cpus": {"_target_": "elsewhere.Slurm", "gpus_per_node": None},
    "ray": {"_target_": "elsewhere.Ray", "ray": {"remote": {"num_gpus": 0.25}}},
    "ray on cpus": {"_target_": "elsewhere.Ray", "ray": {"remote": {"num_gpus": 0}}},
}


@pytest.mark.parametrize(
    ("launcher", "accelerator", "given", "told"),
    [
        ("basic", "auto", [], []),
        ("slurm", "auto", [], ["speed=fast"]),
        ("slurm on cpus", "auto", [], ["speed=exact"]),
        ("ray", "auto", [], ["speed=fast"]),
        ("ray on cpus", "auto", [], ["speed=exact"]),
        ("slurm", "cpu", [], []),
        ("slurm", "auto", ["speed=exact,fast"], ["speed=exact,fast"]),
    ],
)
def test_runs_elsewhere_are_told_the_speed_that_was_planned(
    launcher: str, accelerator: str, given: list[str], told: list[str]
) -> None:
    """A controller without a GPU would plan other runs than those that a GPU node trains."""
    hydra = {"launcher": LAUNCHERS[launcher], "overrides": {"task": given}}
    speed = {"cpu": {"name": "exact"}, "gpu": {"name": "fast"}}
    trainer = {"accelerator": accelerator}
    master = OmegaConf.create({"hydra": hydra, "speed": speed, "trainer": trainer})
    OmegaConf.set_readonly(master.hydra, True)
    tell_speed(master)
    assert master.hydra.overrides.task == told
