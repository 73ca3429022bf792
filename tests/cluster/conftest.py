"""The engines that the tests of sweeps run on: a SLURM and a Ray of their own.

``make test-cluster`` runs this folder in one process, whose tests share the engines.
"""

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import processes
from tests.cluster.slurm import Slurm

RAY = (sys.executable, "-m", "ray.scripts.scripts")


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A SLURM of one node; ``slurm.env`` is the environment for what is to find it."""
    if missing := Slurm.missing():
        pytest.skip(f"no SLURM here: {', '.join(missing)} (apt-get install slurm-wlm munge)")
    with Slurm() as running:
        yield running


@pytest.fixture
def ray_env() -> Iterator[dict[str, str]]:
    """The environment for a Ray that leaves no file and no process behind.

    GPUs that do not exist can be handed out: ``hydra.launcher.ray.init.num_gpus=2``.
    """
    if importlib.util.find_spec("ray") is None:
        pytest.skip("no Ray here: pip install '.[ray]'")
    # Not pytest's folder: a socket's path may have 107 characters, of which Ray takes 60.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    mine = {"RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0"}
    mine |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # else in ~/.ray
    try:
        yield {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | mine
    finally:
        processes.end(f"RAY_TMPDIR={folder}")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ray_cluster(ray_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment in which ``address: auto`` finds a cluster of 4 CPUs and 2 (made up) GPUs.

    Like a real one it was started elsewhere: its processes know neither the working directory nor
    the variables of the sweep.
    """
    start = ("start", "--head", "--port=0", "--include-dashboard=false")
    command = [*RAY, *start, "--num-cpus=4", "--num-gpus=2", "--disable-usage-stats"]
    away = tmp_path / "elsewhere"
    away.mkdir()
    done = subprocess.run(
        command, env=ray_env, cwd=away, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return ray_env
