"""The engines that the tests bring along work, and leave nothing behind."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.slurm import PARTITION, READY, Slurm


def state(slurm: Slurm, job: str) -> str:
    """As ``sacct`` tells it to submitit."""
    told = slurm.run("sacct", "-o", "JobID,State,NodeList", "--parsable2", "-j", job)
    return told.splitlines()[1].split("|")[1]


def wait(slurm: Slurm, job: str, *states: str) -> None:
    deadline = time.monotonic() + READY
    while state(slurm, job) not in states:
        assert time.monotonic() < deadline, slurm.run("scontrol", "show", "job", job)
        time.sleep(0.2)


def test_the_node_is_idle(slurm: Slurm) -> None:
    assert slurm.run("sinfo", "--noheader", "--format=%P %T") == f"{PARTITION}* idle"


def test_a_job_gets_what_it_asks_for(slurm: Slurm) -> None:
    show = "echo $SLURM_NTASKS $SLURM_PROCID $CUDA_VISIBLE_DEVICES"
    command = ("srun", "--ntasks=2", "--gpus-per-node=2", "sh", "-c", show)
    assert sorted(slurm.run(*command).splitlines()) == ["2 0 0,1", "2 1 0,1"]


def test_an_array_ends_and_sacct_knows_how(slurm: Slurm, tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\nexit $SLURM_ARRAY_TASK_ID\n")
    job = slurm.run("sbatch", "--parsable", "--array=0-1", "--output=/dev/null", str(script))
    wait(slurm, f"{job}_0", "COMPLETED")
    wait(slurm, f"{job}_1", "FAILED")


def fail_under_way(slurm: Slurm, folder: Path) -> None:
    """A job that does not want to end writes its process into ``pid``; then a test fails."""
    script = folder / "job.sh"
    script.write_text("#!/bin/sh\ntrap '' TERM\necho $$ > pid\nsleep 600\n")
    with slurm:
        slurm.run("sbatch", "--output=/dev/null", f"--chdir={folder}", str(script))
        deadline = time.monotonic() + READY
        while not (folder / "pid").exists():
            assert time.monotonic() < deadline, slurm.logs()
            time.sleep(0.1)
        raise ZeroDivisionError


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    slurm = Slurm()
    with pytest.raises(ZeroDivisionError):
        fail_under_way(slurm, tmp_path)
    assert not slurm.folder.exists()
    state_of = ["ps", "-o", "stat=", "-p", (tmp_path / "pid").read_text().strip()]
    found = subprocess.run(state_of, capture_output=True, text=True, check=False).stdout
    assert found[:1] in ("", "Z")  # dead, if not yet collected by its new parent


ASK_RAY = """
import ray
ray.init(address="auto", logging_level="error")
gpu = ray.remote(num_gpus=1)(lambda: __import__("os").environ["CUDA_VISIBLE_DEVICES"])
print(ray.cluster_resources()["GPU"], ray.get(gpu.remote()) in "01")
"""


def test_a_ray_cluster_hands_out_its_gpus(ray_cluster: dict[str, str]) -> None:
    command = [sys.executable, "-c", ASK_RAY]
    said = subprocess.run(command, env=ray_cluster, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["2.0", "True"]
