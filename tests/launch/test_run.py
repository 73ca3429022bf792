"""A run leaves a directory that says everything about it, whatever end it takes."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file

from ir_lightning.errors import DataError, UsageError
from ir_lightning.launch.run import run
from ir_lightning.runs.scores import read_scores
from ir_lightning.training.checkpoint import load_state
from ir_lightning.training.weights import GENERATOR_FILE
from tests.conftest import SMALL, TIMES, Compose

pytestmark = pytest.mark.slow


def directory(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "runs").iterdir()
    return found


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_everything_about_it(composed: Compose, tmp_path: Path) -> None:
    asked = ["budget=smoke", "depth=3"]
    result = run(composed(*SMALL, "depth=3", "budget.evaluation_side=null"), asked)
    run_dir = directory(tmp_path)
    assert run_dir.name == f"budget=smoke,depth=3-{result['config_hash']}"

    on_disk = json.loads((run_dir / "result.json").read_text())
    assert on_disk == json.loads(json.dumps(result))
    assert on_disk["status"] == "finished"
    assert on_disk["iterations"] == 2
    assert on_disk["seed"] == 0
    assert on_disk["dataset"] == "rain"
    assert on_disk["protocol"] == "rgb8"
    assert on_disk["seconds"] > 0
    assert on_disk["parameters"]["generator"] > 0
    assert on_disk["parameters"]["discriminator"] > 0
    assert set(on_disk["versions"]) >= {"python", "torch", "lightning"}

    scores = read_scores(run_dir)
    assert len(set(scores["image"])) == on_disk["images"] == 2
    means = scores.groupby(["protocol", "kind", "metric"])["value"].mean()
    for kind in ("degraded", "restored"):
        for metric in ("psnr", "ssim"):
            assert on_disk[kind][metric] == pytest.approx(means["rgb8", kind, metric])
            other = on_disk["scores"]["y-matlab"][kind][metric]
            assert other == pytest.approx(means["y-matlab", kind, metric])
    undegraded = means.xs("undegraded_psnr", level="metric")
    assert on_disk["restored"]["undegraded_psnr"] == pytest.approx(undegraded["rgb8", "restored"])
    assert len(undegraded) == 1, "scored where there are colours, after restoration"
    assert set(scores["dataset"]) == {"rain"}
    assert set(scores["scene"]) == {"chelsea", "coffee"}
    assert on_disk["metrics"]["psnr"] == {"unit": "dB", "higher_is_better": True}
    assert on_disk["best_validation"]["metric"] == "psnr"

    curve = table(run_dir / "metrics.csv")
    assert [row["iteration"] for row in curve] == ["1", "2"]
    assert {"train/generator", "train/discriminator", "train/l1", "val/psnr"} <= set(curve[0])
    assert OmegaConf.load(run_dir / "config.yaml").depth == 3
    assert load_file(run_dir / "generator.safetensors")
    width, height = Image.open(run_dir / "images" / "grid.png").size
    assert width > 3 * 200
    assert height > 2 * 200
    assert {p.name for p in (run_dir / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_two_runs_with_one_seed_are_bit_equal(composed: Compose, tmp_path: Path) -> None:
    weights = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(composed(*SMALL, f"run_dir={tmp_path}/{name}", f"seed={seed}"), [])
        weights[name] = load_file(tmp_path / name / "generator.safetensors")
    assert all(torch.equal(weights["a"][key], weights["b"][key]) for key in weights["a"])
    assert not all(torch.equal(weights["a"][key], weights["c"][key]) for key in weights["a"])
    first, second = (table(tmp_path / name / "test_images.csv") for name in ("a", "b"))
    assert first == second


def test_a_finished_run_is_not_trained_again(composed: Compose, tmp_path: Path) -> None:
    run(composed(*SMALL), [])
    record = directory(tmp_path) / "result.json"
    written = record.stat().st_mtime_ns
    run(composed(*SMALL), ["asked=differently"])
    assert record.stat().st_mtime_ns == written
    last = record.parent / "checkpoints" / "last.ckpt"
    trained, curve = last.stat().st_mtime_ns, table(record.parent / "metrics.csv")
    run(composed(*SMALL, "rerun=true"), [])
    assert record.stat().st_mtime_ns > written
    assert last.stat().st_mtime_ns > trained, "rerun=true trains, it does not only test"
    assert len(table(record.parent / "metrics.csv")) == len(curve)


def test_a_run_directory_belongs_to_one_configuration(composed: Compose, tmp_path: Path) -> None:
    place = f"run_dir={tmp_path}/mine"
    run(composed(*SMALL, place), [])
    with pytest.raises(UsageError, match="another configuration"):
        run(composed(*SMALL, place, "seed=1"), [])
    replaced = run(composed(*SMALL, place, "seed=1", "rerun=true"), [])
    assert replaced["seed"] == 1
    assert load_state(tmp_path / "mine" / "checkpoints" / "last.ckpt")["iteration"] == 2


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_a_run_that_was_cut_off_continues_to_the_same_end(
    precision: str, composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ir_lightning.systems.adversarial import AdversarialSystem

    budget = ["budget.iterations=7", "budget.checkpoint_every=3", "seed=5"]
    budget.append(f"trainer.precision={precision}")
    run(composed(*SMALL, *budget, f"run_dir={tmp_path}/whole"), [])

    step = AdversarialSystem.training_step

    def pulled_plug(self: AdversarialSystem, batch: Any, index: int) -> None:
        if self.iteration == 5:
            raise RuntimeError("power cut")
        step(self, batch, index)

    monkeypatch.setattr(AdversarialSystem, "training_step", pulled_plug)
    cut = composed(*SMALL, *budget, f"run_dir={tmp_path}/cut")
    with pytest.raises(RuntimeError):
        run(cut, [])
    record = json.loads((tmp_path / "cut" / "result.json").read_text())
    assert record["status"] == "failed"
    assert record["reason"] == "RuntimeError: power cut"
    assert "pulled_plug" in (tmp_path / "cut" / "attempts" / "1" / "failure.log").read_text()
    monkeypatch.undo()
    run(cut, [])

    ends = (tmp_path / name for name in ("whole", "cut"))
    whole, cut_off = (torch.load(end / "checkpoints" / "last.ckpt") for end in ends)
    assert whole["iteration"] == cut_off["iteration"] == 7
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, cut_off["state_dict"][name]), name
    curves = [table(tmp_path / name / "metrics.csv") for name in ("whole", "cut")]
    for a, b in zip(*curves, strict=True):
        assert {k: v for k, v in a.items() if k not in TIMES} == {
            k: v for k, v in b.items() if k not in TIMES
        }
    scores = [table(tmp_path / name / "test_images.csv") for name in ("whole", "cut")]
    assert scores[0] == scores[1]


def test_a_run_cut_off_in_its_test_is_tested_with_the_trained_weights(
    composed: Compose, tmp_path: Path
) -> None:
    budget = ["budget.iterations=3", "budget.checkpoint_every=2", "evaluation.weights=last"]
    config = composed(*SMALL, *budget)
    whole = run(config, [])
    run_dir = directory(tmp_path)
    rows, weights = table(run_dir / "test_images.csv"), load_file(run_dir / GENERATOR_FILE)
    for name in ("result.json", "test_images.csv", GENERATOR_FILE):
        (run_dir / name).unlink()
    again = run(config, [])
    assert again["iterations"] == whole["iterations"] == 3
    assert table(run_dir / "test_images.csv") == rows
    last = load_file(run_dir / GENERATOR_FILE)
    assert all(torch.equal(last[name], weights[name]) for name in weights)


def test_a_file_that_breaks_under_way_is_recorded(
    composed: Compose, benchmarks: Path, tmp_path: Path
) -> None:
    broken = benchmarks / "rain800" / "test_syn" / "2.jpg"
    broken.write_bytes(broken.read_bytes()[:-700])  # its header still tells a size
    with pytest.raises(DataError, match=r"2\.jpg"):
        run(composed(*SMALL, "dataset=rain800", f"paths.data={benchmarks}"), [])
    record = json.loads((directory(tmp_path) / "result.json").read_text())
    assert record["status"] == "failed"
    assert "2.jpg" in record["reason"]


def test_reconstruction_scores_a_copy(
    composed: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(composed(*SMALL, "task=reconstruction"), [])
    assert result["degraded"] == {"psnr": float("inf"), "ssim": 1.0}
    told = capsys.readouterr().out
    assert f"{result['restored']['psnr']:.3f}" in told
    assert "gain" not in told  # over what has lost nothing
    assert result["parameters"]["discriminator"] == 0


def test_a_discriminator_left_out_takes_its_loss_with_it(composed: Compose) -> None:
    result = run(composed(*SMALL, "discriminator=none"), [])
    same = run(composed(*SMALL, "discriminator=none", "loss=lsgan"), [])
    assert result["parameters"]["discriminator"] == 0
    assert same["config_hash"] == result["config_hash"]
