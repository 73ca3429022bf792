"""The built wheel in an environment of its own, with a laboratory's package and configuration."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.conftest import ROOT, SMALL

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

PARTS = '''
"""Parts of a laboratory of its own."""

import numpy as np
from torch import nn

from ir_lightning.data.degradations.degradation import Degradation
from ir_lightning.data.samples import Sample
from ir_lightning.metrics.scoring import Metric


class Mine(nn.Module):
    """One convolution beside the identity: (B, 3, H, W) in [0, 1] to the same."""

    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, kernel, padding=kernel // 2)

    def forward(self, degraded):
        return (degraded + 0.1 * self.layer(degraded)).clamp(0, 1)


class Stripes:
    """Scenes of stripes."""

    def __init__(self, count: int, first: int = 0) -> None:
        self.count, self.first = count, first

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        wave = np.sin(np.arange(48) * (self.first + index + 1) / 7)
        grey = np.broadcast_to(127 + 100 * wave[:, None, None], (48, 48, 3))
        return Sample(self.name(index), grey.astype(np.uint8))

    def name(self, index: int) -> str:
        return f"stripes{self.first + index}"

    scene = name

    def size(self, index: int) -> tuple[int, int]:
        return (48, 48)


class Dark(Degradation):
    """A scene with less light."""

    def __init__(self, light: float = 0.5) -> None:
        self.light = light

    def degrade(self, scene):
        return scene.clean * self.light


class Worst(Metric):
    """The largest absolute error of an image, in grey levels of 255."""

    higher_is_better = False

    def __call__(self, restored, clean):
        return (restored - clean).abs().flatten(1).amax(dim=1)
'''
CONF = {
    "generator/mine.yaml": "_target_: mylab.parts.Mine\nkernel: 3\n",
    "metric/worst.yaml": ("# @package evaluation.metrics\nworst:\n  _target_: mylab.parts.Worst\n"),
    "dataset/stripes.yaml": """
name: stripes
crop: 32
small_images: refuse
train: {_target_: mylab.parts.Stripes, count: 6}
validation: {_target_: mylab.parts.Stripes, count: 2, first: 6}
test: {_target_: mylab.parts.Stripes, count: 2, first: 8}
composition: {_target_: mylab.parts.Dark, light: 0.6}
""",
}
EXPERIMENT = """
title: Kernels of one's own generator
datasets: {stripes: stripes}
fixed: ["hydra.searchpath=[file://conf]", generator=mine, budget.crop=32, +metric=worst]
sweeps: [{generator.kernel: [1, 3]}]
seeds: {smoke: [0]}
budgets: {smoke: []}
report:
  _target_: ir_lightning.report.ScoreTable
  metrics: [psnr, worst]
  claims:
    - _target_: ir_lightning.report.Difference
      a: {generator.kernel: 3}
      b: {generator.kernel: 1}
      says: a wider kernel is better
"""


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an environment that holds the wheel, and a package and conf beside it."""
    folder = tmp_path_factory.mktemp("laboratory")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*build, "-w", str(folder), str(ROOT)], check=True, capture_output=True)
    venv.create(folder / "env", with_pip=True)
    (wheel,) = folder.glob("*.whl")
    python = folder / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", str(wheel)], check=True)
    # What the wheel depends on is borrowed: to download it again would take minutes.
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    (folder / "mylab").mkdir()
    (folder / "mylab" / "parts.py").write_text(PARTS, "utf-8")
    for name, text in CONF.items():
        path = folder / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def ir_lightning(laboratory: Path, *arguments: str) -> str:
    """What the installed command prints; it must end with 0."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(laboratory / "env" / "bin" / "ir-lightning"), *arguments]
    done = subprocess.run(command, cwd=laboratory, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


MINE = ("--config-dir=conf", "generator=mine", "dataset=stripes", *SMALL, "threads=1")


def test_a_run_of_parts_of_ones_own(laboratory: Path) -> None:
    ir_lightning(laboratory, "train", *MINE, "+metric=worst", "budget.crop=32")
    (run_dir,) = (path.parent for path in (laboratory / "runs").glob("*/result.json"))
    record = json.loads((run_dir / "result.json").read_text("utf-8"))
    assert record["status"] == "finished"
    assert 0 < record["scores"]["rgb8"]["restored"]["worst"] < 255
    image = run_dir / "images" / "grid.png"
    restore = ("restore", str(run_dir), str(image), "--out", "restored", "--trust", "mylab")
    assert "1 of 1 images restored" in ir_lightning(laboratory, *restore)


def test_a_sweep_of_parts_of_ones_own(laboratory: Path) -> None:
    ir_lightning(laboratory, "train", *MINE, "budget.crop=32", "generator.kernel=1,3", "-m")
    assert ir_lightning(laboratory, "runs", "list").count("finished") >= 2


def test_an_experiment_of_parts_of_ones_own(laboratory: Path) -> None:
    (laboratory / "kernels.yaml").write_text(EXPERIMENT, "utf-8")
    small = ("logger=csv", "callbacks=none", "threads=1")
    ir_lightning(laboratory, "experiment", "kernels.yaml", "--budget", "smoke", *small)
    report = laboratory / "runs" / "reports" / "kernels-synthetic-smoke" / "report.md"
    text = report.read_text("utf-8")
    assert "2 of 2 finished" in text
    assert "a wider kernel is better" in text
    report.unlink()
    ir_lightning(laboratory, "report", str(report.parent))
    assert report.read_text("utf-8") == text


def test_all_commands_work_from_an_empty_folder(laboratory: Path) -> None:
    for command in ("train", "restore", "score", "data", "runs", "experiment", "report"):
        assert ir_lightning(laboratory, command, "--help")
