"""Numbers and files of commit ac45a39, which later code must neither move nor fail to read.

``tests/golden/README.md`` says what each folder holds. After an intended change of the numbers

    python tests/test_golden.py --record [traces] [evaluation] [reports]

writes the named folders again (all three without a name). ``tests/golden/before`` is never written
again: it is what older code has left on people's disks.
"""

import contextlib
import csv
import importlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ir_lightning.cli import main
from ir_lightning.launch.config import load_config
from ir_lightning.launch.run import run
from ir_lightning.training.checkpoint import load_state

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
BEFORE = GOLDEN / "before"

METHODS = ("pix2pix", "pix2pix_lsgan", "unet5", "unet5_infoaccum", "unet5_infoaccum_subpixel")
DATASETS = ("noise", "haze", "rain", "rain_strong", "rain_density", "rain_haze", "heavy_rain")
TRACES = {
    **{f"method-{name}": [f"method={name}", "dataset=rain"] for name in METHODS[:3]},
    **{
        f"method-{name}": [f"method={name}", "dataset=rain", "enhancer.growth=1"]
        for name in METHODS[3:]
    },
    **{f"dataset-{name}": [f"dataset={name}"] for name in DATASETS},
}
COMMON = [
    "budget=smoke",  # the smallest crop that the depth carries
    "budget.iterations=20",
    "budget.checkpoint_every=10",
    "budget.log_every=1",
    "budget.validation_images=1",
    "budget.test_images=2",
    "budget.evaluation_side=64",
    "evaluation.protocols=[rgb8,y-matlab]",
    "width=4",
    "norm=instance",
    "seed=0",
    "threads=1",
    "trainer.accelerator=cpu",
    "trainer.precision=64-true",
    "logger=csv",
    "callbacks=none",
]
SCORED = "dataset-rain"
"""The trace whose test scores are golden, too."""
REPORTS = ("fig3", "fig7", "fig14", "table1", "table2", "table4", "real")

Key = tuple[str, str, str, str]
"""Image, metric, protocol and kind (``degraded`` or ``restored``) of a score."""


def python(where: Path, *arguments: str) -> str:
    """Run this checkout's code in a process of its own in ``where``; what it printed."""
    # A folder of data or an account of whoever runs the tests must not come in.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "IR_LIGHTNING"))}
    environment = {**kept, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=where, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tool(where: Path, *arguments: str) -> str:
    """Run `ir-lightning` in ``where``; what it printed."""
    return python(where, "-c", "from ir_lightning.cli import main; main()", *arguments)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows whose columns may differ."""
    rows = list(rows)
    columns = dict.fromkeys(key for row in rows for key in row)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


# Training curves


def train_trace(name: str, where: Path) -> Path:
    """Train the run of a trace; its directory."""
    overrides = [*TRACES[name], *COMMON, f"run_dir={where}/{name}"]
    assert run(load_config(overrides), overrides)["status"] == "finished"
    return where / name


def trace_of(run_dir: Path) -> list[dict[str, str]]:
    """The curve without what depends on the machine's speed; empty cells left out."""
    return [
        {
            key: value if key == "iteration" else f"{float(value):.6g}"
            for key, value in row.items()
            if value and key.startswith(("iteration", "train/", "val/"))
        }
        for row in rows_of(run_dir / "metrics.csv")
    ]


@pytest.mark.parametrize("name", TRACES)
def test_losses_and_validation_scores_are_the_recorded_ones(name: str, tmp_path: Path) -> None:
    golden = rows_of(GOLDEN / "traces" / f"{name}.csv")
    run_dir = train_trace(name, tmp_path)
    now = trace_of(run_dir)
    assert [row["iteration"] for row in now] == [row["iteration"] for row in golden]
    for row, expected in zip(now, golden, strict=True):
        for key, value in expected.items():
            told = f"{key} at iteration {expected['iteration']}"
            assert (key in row) == bool(value), told
            # Two roundings to six digits differ by one in the last one at most.
            assert not value or math.isclose(float(row[key]), float(value), rel_tol=1e-5), told
    if name == SCORED:
        assert_test_scores_are_the_recorded_ones(run_dir)


# Test scores

RENAMED = {"untouched_psnr": "undegraded_psnr"}


def scores_of(run_dir: Path) -> dict[Key, float]:
    """``test_images.csv``, a row an image or a row a score; empty ones left out."""
    found: dict[Key, float] = {}
    for row in rows_of(run_dir / "test_images.csv"):
        if "value" in row:
            if row["value"]:
                key = (row["image"], row["metric"], row["protocol"], row["kind"])
                found[key] = float(row["value"])
            continue
        for column, value in row.items():
            if column in ("name", "protocol") or not value:
                continue
            prefix, _, what = column.rpartition(":")
            kind, _, metric = what.partition("_")
            if kind == "untouched":
                kind, metric = "restored", RENAMED[what]
            found[row["name"], metric, prefix or row["protocol"], kind] = float(value)
    return found


def means_of(run_dir: Path) -> dict[Key, float]:
    """The mean scores of ``result.json``."""
    record = json.loads((run_dir / "result.json").read_text("utf-8"))
    return {
        ("mean", metric, protocol, kind): float(record["scores"][protocol][kind][metric])
        for protocol in ("rgb8", "y-matlab")
        for kind in ("degraded", "restored")
        for metric in ("psnr", "ssim")
    }


NEUTRAL = ("image", "metric", "protocol", "kind")
EVALUATIONS = {"test_images.csv": scores_of, "means.csv": means_of}


def neutral(scores: Mapping[Key, float]) -> list[dict[str, str]]:
    """A row for each score, with eight digits, in a fixed order."""
    return [
        {**dict(zip(NEUTRAL, key, strict=True)), "value": f"{value:.8g}"}
        for key, value in sorted(scores.items())
    ]


def assert_close(now: Mapping[Key, float], golden: Mapping[Key, float], tolerance: float) -> None:
    assert now.keys() == golden.keys()
    for key, value in golden.items():
        assert math.isclose(now[key], value, rel_tol=tolerance), (key, now[key], value)


def assert_test_scores_are_the_recorded_ones(run_dir: Path) -> None:
    for file, read in EVALUATIONS.items():
        golden = {}
        for row in rows_of(GOLDEN / "evaluation" / file):
            metric = RENAMED.get(row["metric"], row["metric"])
            golden[row["image"], metric, row["protocol"], row["kind"]] = float(row["value"])
        assert_close(read(run_dir), golden, 1e-7)


# What older code has left on the disk


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A folder with a copy of the old run directories in ``runs``."""
    shutil.copytree(BEFORE, tmp_path / "runs", ignore=shutil.ignore_patterns("experiments"))
    return tmp_path


def degraded() -> Any:
    """An image of an odd size, (27, 21, 3) floats."""
    return np.random.default_rng(2212).random((27, 21, 3), dtype=np.float32)


def loader() -> Any:
    """``load`` for weights, from where it is or where it has been."""
    for module in ("ir_lightning", "ir_lightning.inference", "ir_lightning.restore"):
        with contextlib.suppress(ImportError):
            if load := getattr(importlib.import_module(module), "load", None):
                return load
    raise ImportError("there is no load(run)")


@pytest.mark.parametrize("name", ["finished", "regression"])
def test_an_old_generator_restores_as_it_did(name: str, before: Path) -> None:
    load = loader()
    golden = np.load(BEFORE / f"{name}.npy")
    for place in (before / "runs" / name, before / "runs" / name / "generator.safetensors"):
        restored = load(place, device="cpu")(degraded())
        np.testing.assert_allclose(restored, golden, rtol=0, atol=2e-6)


def test_old_runs_are_listed(before: Path) -> None:
    rows = json.loads(tool(before, "runs", "list", "runs", "--json"))
    listed = {row["run"]: (row["status"], row["iteration"], row["iterations"]) for row in rows}
    assert listed == {
        "finished": ("finished", 6, 6),
        "regression": ("finished", 6, 6),
        "uninterrupted": ("finished", 8, 8),
        "interrupted": ("queued", 5, 8),
    }
    psnr = {row["run"]: row["psnr"] for row in rows}
    for name in ("finished", "regression", "uninterrupted"):
        assert psnr[name] == means_of(BEFORE / name)["mean", "psnr", "rgb8", "restored"]


def last_weights(run_dir: Path, network: str) -> dict[str, torch.Tensor]:
    """A network as it was after the last iteration."""
    system = load_state(run_dir / "checkpoints" / "last.ckpt")["state_dict"]
    begin = f"{network}."
    return {k.removeprefix(begin): w for k, w in system.items() if k.startswith(begin)}


def test_an_old_interrupted_run_ends_as_the_undisturbed_one(before: Path) -> None:
    """Closely: Adam makes steps of rounding errors where a gradient is zero, and later code adds in
    another order.

    That version kept the last discriminator, this one that which stood beside the kept generator.
    """
    tool(before, "runs", "retry", "runs/interrupted")
    run_dir, golden = before / "runs" / "interrupted", BEFORE / "uninterrupted"
    tolerance = 1e-4
    for network in ("generator", "discriminator"):
        now, then = (load_file(place / f"{network}.safetensors") for place in (run_dir, golden))
        if network == "discriminator":
            now = last_weights(run_dir, network)
        assert now.keys() == then.keys()
        for key, weights in then.items():
            torch.testing.assert_close(now[key], weights, rtol=tolerance, atol=tolerance, msg=key)
    curves = [rows_of(place / "metrics.csv") for place in (run_dir, golden)]
    assert len(curves[0]) == len(curves[1])
    for row, expected in zip(*curves, strict=True):
        for key in expected.keys() - {"seconds"}:
            told = f"{key} at iteration {expected['iteration']}"
            if not expected[key]:
                assert not row[key], told
            else:
                assert math.isclose(float(row[key]), float(expected[key]), rel_tol=tolerance), told
    assert_close(scores_of(run_dir), scores_of(golden), tolerance)
    assert_close(means_of(run_dir), means_of(golden), tolerance)


# Reports

IMAGES = 12
TEXTS = ("report.md", "table.*", "cells.*")


def level(cell: Mapping[str, str]) -> float:
    """Mean PSNR of a cell in dB: it saturates with the depth, and no two cells are alike."""
    rest = sum(ord(letter) for value in cell.values() for letter in value) % 23
    return 20.0 + 6.0 * (1 - 2.0 ** -float(cell.get("depth", 4))) + 0.05 * rest


def plant(run_dir: Path, cell: Mapping[str, str], seed: int, finished: bool) -> None:
    """A run directory in the format of commit ac45a39, with scores that are made up."""
    run_dir.mkdir(parents=True)
    record = json.loads((BEFORE / "finished" / "result.json").read_text("utf-8"))
    record |= {"seed": seed, "dataset": cell.get("dataset", "rain"), "images": IMAGES}
    record |= {"budget": "cpu", "iterations": 250, "label": ",".join(cell.values())}
    shutil.copy(BEFORE / "finished" / "config.yaml", run_dir)
    if not finished:
        record |= {"status": "failed", "reason": "the power went"}
        (run_dir / "result.json").write_text(json.dumps(record, indent=2))
        return
    random = np.random.default_rng([seed, *map(ord, "".join(cell.values()))])
    rows = []
    for image in range(IMAGES):
        psnr = level(cell) + math.sin(7 * image) + 0.1 * random.standard_normal()
        row: dict[str, Any] = {"name": f"image-{image}", "protocol": "rgb8"}
        for prefix, more in (("", 0.0), ("y-matlab:", 1.5)):
            row |= {f"{prefix}degraded_psnr": 18 + more + math.sin(7 * image)}
            row |= {f"{prefix}degraded_ssim": 0.6 + 0.02 * math.sin(5 * image)}
            row |= {f"{prefix}restored_psnr": psnr + more}
            row |= {f"{prefix}restored_ssim": (psnr + more) / 40}
        rows.append({**row, "untouched_psnr": psnr + 6 if image % 3 else ""})
    write_rows(run_dir / "test_images.csv", rows)
    for protocol, prefix in (("rgb8", ""), ("y-matlab", "y-matlab:")):
        for kind in ("degraded", "restored"):
            for metric in ("psnr", "ssim"):
                mean = sum(row[f"{prefix}{kind}_{metric}"] for row in rows) / IMAGES
                record["scores"][protocol][kind][metric] = mean
    record |= record["scores"]["rgb8"]
    (run_dir / "result.json").write_text(json.dumps(record, indent=2))
    write_rows(run_dir / "metrics.csv", planted_curve(cell.get("loss") == "gan", random))


def planted_curve(gan: bool, random: np.random.Generator) -> list[dict[str, float]]:
    """With GAN: two stages, a discriminator that saturates early, a gradient that vanishes."""
    rows = []
    for t in range(10, 1501, 10):
        loss = 20 + 30 * math.exp(-t / 40) + gan * 10 * math.exp(-t / 500)
        row = {"iteration": t, "seconds": t / 10}
        row["train/generator"] = loss + random.standard_normal()
        row["balance/generator"] = loss + 0.05 * random.standard_normal()
        row |= {"balance/chance": 0.7, "balance/discriminator": 0.7 * math.exp(-gan * t / 200)}
        row["balance/adversarial"] = 0.7 + gan * t / 300
        if t % 100 == 0:
            ahead = gan and t >= 200
            row |= {"val/psnr": 15 + 10 * (1 - math.exp(-t / 300)), "val/ssim": 0.5}
            row |= {"balance/bits": 0.95 if ahead else 0.3, "balance/low": 0.92 if ahead else 0.2}
            row |= {"balance/auc": 0.99 if gan else 0.7, "balance/g_pixel": 2.0}
            row |= {"balance/g_adversarial": 10 ** (-t / 250) if gan else 1.0}
            row["balance/cosine"] = 0.1
        rows.append(row)
    return rows


def report_of(name: str, where: Path) -> dict[str, bytes]:
    """Plant an experiment's runs and report on them; its texts by their file names."""
    folder = where / "report"
    folder.mkdir()
    index = json.loads((BEFORE / "experiments" / f"{name}.json").read_text("utf-8"))
    for number, entry in enumerate(index["runs"]):
        run_dir = folder / entry["run"]
        if name == "real":
            shutil.copytree(BEFORE / run_dir.name, run_dir)
        else:  # one run has failed, and so its cell lacks a seed
            plant(run_dir, entry["cell"], entry["seed"], finished=number != 7)
    shutil.copy(BEFORE / "experiments" / f"{name}.json", folder / "experiment.json")
    with (
        contextlib.chdir(where),
        contextlib.redirect_stdout(io.StringIO()),
        pytest.raises(SystemExit) as end,
    ):
        main(["report", "report", "--wandb", "off"])
    assert end.value.code == 0
    return {path.name: path.read_bytes() for text in TEXTS for path in folder.glob(text)}


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_the_recorded_ones_byte_for_byte(name: str, tmp_path: Path) -> None:
    golden = {path.name: path.read_bytes() for path in (GOLDEN / "reports" / name).iterdir()}
    now = report_of(name, tmp_path)
    assert now.keys() == golden.keys()
    for file, expected in golden.items():
        assert now[file].decode().splitlines() == expected.decode().splitlines(), file
        assert now[file] == expected, file


# Recording


def record(parts: Iterable[str]) -> None:
    """Write the named golden folders again from what this checkout makes of them."""
    parts = set(parts) or {"traces", "evaluation", "reports"}
    for name in TRACES if "traces" in parts else [SCORED] if "evaluation" in parts else []:
        with tempfile.TemporaryDirectory() as place:
            run_dir = train_trace(name, Path(place))
            if "traces" in parts:
                write_rows(GOLDEN / "traces" / f"{name}.csv", trace_of(run_dir))
            if name == SCORED and "evaluation" in parts:
                for file, read in EVALUATIONS.items():
                    write_rows(GOLDEN / "evaluation" / file, neutral(read(run_dir)))
    for name in REPORTS if "reports" in parts else ():
        with tempfile.TemporaryDirectory() as place:
            texts = report_of(name, Path(place))
        shutil.rmtree(GOLDEN / "reports" / name, ignore_errors=True)
        (GOLDEN / "reports" / name).mkdir(parents=True)
        for file, text in texts.items():
            (GOLDEN / "reports" / name / file).write_bytes(text)


if __name__ == "__main__":
    if sys.argv[1:2] != ["--record"]:
        raise SystemExit(__doc__)
    record(sys.argv[2:])
