"""What is taken to a GPU machine without a network, and what runs there, as a CPU can show it."""

import json
import os
import subprocess
import tarfile
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

import benchmarks.gpu
from benchmarks.ways import let_record
from gpu import bundle
from tests.conftest import ROOT
from tests.helpers.recording import TapeRecording


def test_no_part_is_too_large_and_no_file_is_lost(tmp_path: Path) -> None:
    files = []
    for number, size in enumerate((10, 9_000, 30_000, 1, 25_000, 5_000)):
        path = tmp_path / f"{number}"
        path.write_bytes(b"x" * size)
        files.append((path, f"data/{number}"))
    packed = bundle.parts(files, largest=50_000)
    assert [each for part in packed for each in part] == files
    assert len(packed) > 1
    for number, part in enumerate(packed):
        with tarfile.open(tmp_path / f"{number}.tar", "w", format=tarfile.GNU_FORMAT) as archive:
            for path, name in part:
                archive.add(path, name)
        assert (tmp_path / f"{number}.tar").stat().st_size <= 50_000


def test_a_file_that_no_part_can_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 50_000)
    with pytest.raises(SystemExit, match=r"large: .* more than a part"):
        bundle.parts([(tmp_path / "large", "large")], largest=50_000)


def test_what_is_unpacked_is_the_code_the_wheels_and_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rain800" / "training").mkdir(parents=True)
    (tmp_path / "rain800" / "training" / "1.jpg").write_bytes(b"an image")
    monkeypatch.setattr(bundle, "fetch_wheels", lambda into: (into / "a.whl").write_bytes(b"a"))
    for part in bundle.bundle(tmp_path / "bundle", tmp_path / "rain800"):
        assert part.stat().st_size <= bundle.LARGEST
        with tarfile.open(part) as archive:
            archive.extractall(tmp_path / "there", filter="data")
    there = tmp_path / "there"
    assert (there / "data" / "rain800" / "training" / "1.jpg").read_bytes() == b"an image"
    assert (there / "wheels" / "a.whl").exists()
    for name in ("train.py", "gpu/bench.sh", "gpu/setup.sh", "tests/gpu/test_cuda.py"):
        assert (there / name).read_bytes() == (ROOT / name).read_bytes()


def test_every_wheel_has_a_tested_version() -> None:
    known = bundle.pins()
    for name in (*bundle.WHEELS, *bundle.SOURCES):
        assert known[name.replace("_", "-")], name


def run_script(
    tmp_path: Path, name: str, *arguments: str, python: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """A script of gpu/ with another ``python3``; how each of its steps ended."""
    fake = tmp_path / "bin" / "python3"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{python}\n")
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(ROOT / "gpu" / name), str(tmp_path / "out"), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (tmp_path / "out" / "steps.tsv").read_text().splitlines()
    return done, {line.split("\t")[0]: line.split("\t")[1] for line in lines}


def test_a_step_that_fails_stops_no_other(tmp_path: Path) -> None:
    fails = 'case "$*" in *smoke*|*packed*) echo "no such device"; exit 3;; esac; echo fine'
    done, steps = run_script(tmp_path, "bench.sh", python=fails)
    assert done.returncode == 0, done.stderr
    failed = {name for name, end in steps.items() if end == "failed (3)"}
    assert failed == {"smoke", "gpu-packed"}
    assert {name for name, end in steps.items() if end == "ok"} == {
        *("versions", "gpu-step", "tests", "gpu-memory", "infoaccum", "gpu-restore")
    }
    assert "no such device" in (tmp_path / "out" / "smoke.log").read_text()
    assert "no such device" in done.stdout


def test_table2_trains_its_five_rows(tmp_path: Path) -> None:
    writes = (
        'for a in "$@"; do case "$a" in run_dir=*) mkdir -p "${a#run_dir=}/checkpoints"; '
        'echo "$*" > "${a#run_dir=}/result.json"; echo w > "${a#run_dir=}/checkpoints/last.ckpt"; '
        "esac; done"
    )
    done, steps = run_script(tmp_path, "table2.sh", "100", "7", python=writes)
    assert done.returncode == 0, done.stderr
    assert set(steps.values()) == {"ok"}
    with tarfile.open(tmp_path / "out" / "table2-seed7.tgz") as archive:
        names = archive.getnames()
        results = [name for name in names if name.endswith("result.json")]
        commands = [archive.extractfile(name).read().decode() for name in results]  # type: ignore[union-attr]
    assert len(results) == 5
    assert not any("ckpt" in name for name in names)
    assert all("budget.iterations=100" in each and "seed=7" in each for each in commands)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The figures of a GPU on a CPU, in small, with a tape for a recording."""
    module = benchmarks.gpu
    monkeypatch.setattr(module, "DEVICE", "cpu")
    monkeypatch.setattr(module, "CASES", {"256": (32, 1), "256-batch8": (32, 2)})
    monkeypatch.setattr(module, "DEPTH", 2)
    monkeypatch.setattr(module, "WIDTH", 4)
    monkeypatch.setattr(module, "let_record", partial(let_record, new=TapeRecording))
    monkeypatch.setattr(module, "BEST", ("depth=2", "width=4", "budget=smoke"))
    return module


def test_the_figures_of_a_gpu_are_written_as_they_come(small: ModuleType, tmp_path: Path) -> None:
    small.measure_step(tmp_path, rounds=1)
    small.measure_restore(tmp_path, height=64, width=96)
    step = json.loads((tmp_path / "gpu_step.json").read_text())
    names = [figure["name"] for figure in step["figures"]]
    assert names == ["step-gpu-256", "step-gpu-256-batch8"]
    for figure in step["figures"]:
        assert figure["ratio"] > 0
        assert {"published", "exact", "fast"} <= figure["details"]["seconds"].keys()
        assert figure["details"]["share_of_floor"].keys() == figure["details"]["seconds"].keys()
    restore = json.loads((tmp_path / "gpu_restore.json").read_text())
    assert [figure["name"] for figure in restore["figures"]] == [
        *("restore-gpu-tiles", "restore-gpu-bf16")
    ]
