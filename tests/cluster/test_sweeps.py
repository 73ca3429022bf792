"""A sweep through SLURM or Ray is the sweep of the basic launcher, run by run."""

import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ir_lightning.runs.record import read_result
from ir_lightning.training.checkpoint import load_state
from tests.cluster.slurm import Slurm
from tests.conftest import ROOT, SMALL
from tests.helpers import commands
from tests.helpers.commands import Command

ONE = [*SMALL, "threads=1", "trainer.accelerator=cpu"]
SLURM = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2"]
RAY = ["hydra.launcher.ray.remote.num_cpus=1", "hydra.launcher.ray.remote.num_gpus=0"]


def start(environment: dict[str, str], *overrides: str) -> Command:
    """The controller of a sweep; its jobs are true processes."""
    return commands.start(*ONE, *overrides, "-m", **environment)


def sweep(environment: dict[str, str], *overrides: str) -> tuple[str, str]:
    """What a sweep that ends well says on stdout and stderr."""
    code, out, err = start(environment, *overrides).end(timeout=400)
    assert code == 0, out + err
    return out, err


def runs_in(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/result.json"))


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep of every engine, by the basic launcher."""
    folder = tmp_path_factory.mktemp("basic")
    sweep({}, f"paths.runs={folder}", "depth=1,2")
    return folder


def assert_same(folder: Path, basic: Path) -> None:
    assert [run.name for run in runs_in(folder)] == [run.name for run in runs_in(basic)]
    for run, expected in zip(runs_in(folder), runs_in(basic), strict=True):
        assert read_result(run)["status"] == "finished"
        name = "test_images.csv"
        assert (run / name).read_bytes() == (expected / name).read_bytes()
        ours, theirs = (load_file(d / "generator.safetensors") for d in (run, expected))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("accounting", [True, False])
def test_slurm(accounting: bool, basic: Path, tmp_path: Path) -> None:
    with Slurm(accounting=accounting) as slurm:
        out, err = sweep(slurm.env, *SLURM, f"paths.runs={tmp_path}", "depth=1,2")
    assert_same(tmp_path, basic)
    assert out.count("finished") >= 2
    assert "sacct" not in out + err, "submitit's warning is of no use to anybody"


def test_ray_on_this_machine(ray_env: dict[str, str], basic: Path, tmp_path: Path) -> None:
    one_core = "hydra.launcher.ray.remote.num_cpus=1"
    engine = ["hydra/launcher=gpu_packed", "hydra.launcher.ray.init.num_cpus=2", one_core]
    sweep(ray_env, *engine, f"paths.runs={tmp_path}", "depth=1,2")
    assert_same(tmp_path, basic)


def test_a_ray_cluster(ray_cluster: dict[str, str], basic: Path, tmp_path: Path) -> None:
    engine = ["hydra/launcher=ray_cluster", *RAY]
    sweep(ray_cluster, *engine, f"paths.runs={tmp_path}", "depth=1,2")
    assert_same(tmp_path, basic)


def test_a_failure_on_a_cluster_is_told_by_the_controller(slurm: Slurm, tmp_path: Path) -> None:
    overrides = [*SLURM, f"paths.runs={tmp_path}", "depth=1", "optimizer.lr=2e-4,1e30"]
    process = start(slurm.env, *overrides, "budget.iterations=20")
    code, out, err = process.end()
    assert code == 1, out + err
    assert "failed: optimizer.lr=1e+30: the training diverged" in out.replace("\n", " ")
    assert sorted(read_result(run)["status"] for run in runs_in(tmp_path)) == ["failed", "finished"]


def test_two_tasks_train_one_run(slurm: Slurm, tmp_path: Path) -> None:
    ddp = ["hydra/launcher=slurm_ddp", "hydra.launcher.tasks_per_node=2", "trainer=ddp"]
    ddp += ["trainer.devices=2", "norm=instance", "budget.batch=2", *SLURM[1:]]
    out, _ = sweep(slurm.env, *ddp, f"paths.runs={tmp_path}", "depth=1")
    (run,) = runs_in(tmp_path)
    record = read_result(run)
    assert (record["status"], record["processes"]) == ("finished", 2), out
    assert [attempt.name for attempt in (run / "attempts").iterdir()] == ["1"]


ORDERS = (
    (("scontrol", "requeue"), "SIGTERM"),  # pre-empted
    (("scancel", "--signal=USR2"), "SIGUSR2"),  # warned of its time limit
)


def trained_by(attempt: int, runs: Path, slurm: Slurm) -> Path:
    """Wait until this attempt at the only run has written a checkpoint; the run's directory."""
    deadline = time.monotonic() + 120
    while True:
        for claim in runs.glob(f"*/attempts/{attempt}/claim.json"):
            saved = claim.parents[2] / "checkpoints" / "last.ckpt"
            if saved.exists() and saved.stat().st_mtime > claim.stat().st_mtime:
                return claim.parents[2]
        assert time.monotonic() < deadline, slurm.logs()
        time.sleep(0.05)


def test_a_requeued_job_continues_where_it_was(slurm: Slurm, tmp_path: Path) -> None:
    """Twice: each order that SLURM gives ends one attempt."""
    long = ["depth=1", "budget.iterations=300", "budget.checkpoint_every=100", "seed=0"]
    sweep({}, *long, f"paths.runs={tmp_path}/whole")
    controller = start(slurm.env, *SLURM, *long, f"paths.runs={tmp_path}/requeued")
    for attempt, (order, _) in enumerate(ORDERS, start=1):
        run = trained_by(attempt, tmp_path / "requeued", slurm)
        job = slurm.run("squeue", "--noheader", "--format=%i", "--states=RUNNING")
        slurm.run(*order, job)
    code, out, err = controller.end()
    assert code == 0, out + err
    ends = [(run / "attempts" / n / "end.json").read_text() for n in ("1", "2", "3")]
    for end, (_, by) in zip(ends, ORDERS, strict=False):
        assert "queued" in end
        assert f"Stopped by {by}" in end
    assert "finished" in ends[2]
    (whole,) = runs_in(tmp_path / "whole")
    assert (run / "test_images.csv").read_bytes() == (whole / "test_images.csv").read_bytes()
    one, other = (load_state(d / "checkpoints" / "last.ckpt") for d in (run, whole))
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name


def test_a_plain_job_that_is_warned_of_its_end_requeues_itself(
    slurm: Slurm, tmp_path: Path
) -> None:
    """As with ``sbatch --signal=USR1@120``, for a run that submitit knows nothing of."""
    long = ["depth=1", "budget.iterations=300", "budget.checkpoint_every=100"]
    command = [sys.executable, str(ROOT / "train.py"), *ONE, *long, f"run_dir={tmp_path}/run"]
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\ncd {ROOT}\nexec {' '.join(command)}\n")
    log = f"--output={tmp_path}/log"
    job = slurm.run("sbatch", "--parsable", "--requeue", log, "--open-mode=append", str(script))
    saved = tmp_path / "run" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not saved.exists():
        assert time.monotonic() < deadline, slurm.logs()
        time.sleep(0.05)
    slurm.run("scancel", "--signal=USR1", "--full", job)
    while read_result(tmp_path / "run").get("status") != "finished":
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.2)
    ended = (tmp_path / "run" / "attempts" / "1" / "end.json").read_text()
    assert "Stopped by SIGUSR1" in ended
    assert read_result(tmp_path / "run")["attempt"] == 2
