"""Checkpoints: damaged ones are passed over, none runs code, none holds what is not finite."""

import csv
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from omegaconf import DictConfig

from ir_lightning.errors import DataError, DivergedError, StorageError, UsageError
from ir_lightning.launch.child import CONTEXT
from ir_lightning.launch.config import load_config
from ir_lightning.launch.run import run
from ir_lightning.runs.record import OUTCOME, read_result
from ir_lightning.systems.adversarial import AdversarialSystem
from ir_lightning.training.checkpoint import (
    BEST,
    LAST,
    PREVIOUS,
    State,
    best_of,
    load_latest,
    load_state,
)
from tests.conftest import SMALL, Compose

pytestmark = pytest.mark.slow

BUDGET = [*SMALL, "budget.iterations=6", "budget.checkpoint_every=2", "depth=1"]


def unfinished(run_dir: Path) -> None:
    for name in OUTCOME:
        if name != "metrics.csv":
            (run_dir / name).unlink()


@pytest.mark.parametrize("kept", [0, 1, 1000])
def test_a_truncated_checkpoint_falls_back_to_the_one_before(
    kept: int, composed: Compose, tmp_path: Path
) -> None:
    config = composed(*BUDGET, f"run_dir={tmp_path}/run")
    run(config, [])
    last = tmp_path / "run" / "checkpoints" / LAST
    whole = load_state(last)
    last.write_bytes(last.read_bytes()[:kept])
    unfinished(tmp_path / "run")
    with pytest.warns(UserWarning, match=r"last\.ckpt is not read.*previous\.ckpt"):
        run(config, [])
    again = load_state(last)
    assert again["iteration"] == 6
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, again["state_dict"][name]), name


class Evil:
    """Unpickled, it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_checkpoint_that_would_run_code_is_refused(form: str, tmp_path: Path) -> None:
    evil = {"iteration": 3, "system": Evil(tmp_path / "marker")}
    if form == "torch":
        torch.save(evil, tmp_path / LAST)
    else:
        (tmp_path / LAST).write_bytes(pickle.dumps(evil))
    with pytest.raises(DataError, match=r"last\.ckpt is not read"):
        load_latest(tmp_path)
    torch.save({"iteration": 1}, tmp_path / PREVIOUS)
    with pytest.warns(UserWarning, match="previous"):
        state = load_latest(tmp_path)
    assert state == {"iteration": 1}
    assert not (tmp_path / "marker").exists()


def test_a_run_with_such_a_checkpoint_fails_in_words(composed: Compose, tmp_path: Path) -> None:
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save({"system": Evil(tmp_path / "marker")}, checkpoints / LAST)
    config = composed(*BUDGET, f"run_dir={tmp_path}/run")
    with pytest.raises(DataError, match="rerun=true"):
        run(config, [])
    assert read_result(tmp_path / "run")["status"] == "failed"
    assert not (tmp_path / "marker").exists()
    assert run(composed(*BUDGET, f"run_dir={tmp_path}/run", "rerun=true"), [])["iterations"] == 6


def test_a_diverged_run_keeps_its_last_good_checkpoint(composed: Compose, tmp_path: Path) -> None:
    often = ["budget.log_every=6", "checkpoint.minutes=0"]
    config = composed(*BUDGET, f"run_dir={tmp_path}/run", *often)

    def poisoned(self: AdversarialSystem, batch: Any, index: int) -> None:
        if self.iteration == 4:
            with torch.no_grad():
                next(self.generator.parameters()).fill_(torch.inf)
        step(self, batch, index)

    step = AdversarialSystem.training_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AdversarialSystem, "training_step", poisoned)
        with pytest.raises(DivergedError, match="iteration 5"):
            run(config, [])
    record = read_result(tmp_path / "run")
    assert record["status"] == "failed"
    assert "iteration 5" in record["reason"]
    kept = load_state(tmp_path / "run" / "checkpoints" / LAST)
    assert kept["iteration"] == 4
    assert all(v.isfinite().all() for v in kept["state_dict"].values())
    assert run(config, [])["iterations"] == 6, "the cause mended, it goes on from there"


def test_any_metric_chooses_the_best_weights_by_its_direction(
    composed: Compose, tmp_path: Path
) -> None:
    error = "+evaluation.metrics.error={_target_: torchmetrics.MeanSquaredError}"
    run_dir = tmp_path / "run"
    config = composed(*BUDGET, f"run_dir={run_dir}", error, "evaluation.choose_by=error")
    result = run(config, [])
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/error"]]
    errors = {int(row["iteration"]): float(row["val/error"]) for row in rows}
    assert list(errors) == [2, 4, 6]
    assert {"val/psnr", "val/ssim"} < set(rows[0])
    least = min(errors, key=errors.__getitem__)
    assert result["best_validation"] == {
        "metric": "error",
        "value": pytest.approx(errors[least]),
        "iteration": least,
    }
    assert load_state(run_dir / "checkpoints" / BEST)["iteration"] == least
    assert result["metrics"]["error"] == {"unit": "", "higher_is_better": False}
    assert result["restored"]["error"] > 0


def test_the_best_of_an_earlier_version_is_continued() -> None:
    best = {"metric": "psnr", "value": 20.0, "iteration": 4}
    assert best_of({"best": {"psnr": 20.0, "iteration": 4}}) == best
    assert best_of({"best": best}) == best
    assert best_of({"best": None}) is None


def cut(config: DictConfig, iteration: int) -> None:
    """Let a run fail in the step of training, or of test, that follows this iteration."""

    def failing(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: AdversarialSystem, *args: Any) -> Any:
            if self.iteration == iteration:
                raise RuntimeError("power cut")
            return step(self, *args)

        return wrapper

    with pytest.MonkeyPatch.context() as patch:
        for name in ("training_step", "test_step"):
            patch.setattr(AdversarialSystem, name, failing(getattr(AdversarialSystem, name)))
        with pytest.raises(RuntimeError, match="power cut"):
            run(config, [])


def former(state: State) -> State:
    """A checkpoint as it was before it was Lightning's."""
    names = {"d_saturated_for": "wins", "d_saturated_at": "won_at"}
    return {
        "iteration": state["iteration"],
        "system": {names.get(name, name): value for name, value in state["state_dict"].items()},
        "optimizers": state["optimizer_states"],
        "random": state["random"],
        "best": state["best"],
        "due": False,
    }


@pytest.mark.parametrize("iteration", [3, 4, 6])
def test_a_former_checkpoint_is_resumed(iteration: int, composed: Compose, tmp_path: Path) -> None:
    """Between two validations, at one, and at the end of the training."""
    where, often = tmp_path / "cut" / "checkpoints", "checkpoint.minutes=0"
    run(composed(*BUDGET, f"run_dir={tmp_path}/whole", often), [])
    config = composed(*BUDGET, f"run_dir={tmp_path}/cut", often)
    cut(config, iteration)
    torch.save(former(load_state(where / LAST)), where / LAST)
    run(config, [])
    ends = [load_state(tmp_path / name / "checkpoints" / LAST) for name in ("whole", "cut")]
    assert ends[1]["iteration"] == 6
    assert ends[1]["best"] == ends[0]["best"]
    for name, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][name]), name
    rows = [(tmp_path / name / "test_images.csv").read_bytes() for name in ("whole", "cut")]
    assert rows[0] == rows[1]


class Careless(Callback):
    """Has a state that only running code could bring back."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.seen = 0

    def on_train_batch_end(self, *_: Any) -> None:
        self.seen += 1

    def state_dict(self) -> dict[str, Any]:
        return {"path": Path("x") if self.seen >= self.after else "x"}


@pytest.mark.parametrize("after", [0, 3])
def test_a_callback_whose_state_is_an_object_is_refused_in_words(
    after: int, composed: Compose, tmp_path: Path
) -> None:
    own = [f"+callbacks.mine._target_={__name__}.Careless", f"+callbacks.mine.after={after}"]
    config = composed(*BUDGET, f"run_dir={tmp_path}/run", *own)
    with pytest.raises(UsageError, match=r"state of Careless cannot be saved.*let its state_dict"):
        run(config, [])
    latest = load_latest(tmp_path / "run" / "checkpoints")
    assert (latest["iteration"] if latest else 0) == max(0, after - 1)


class Adding(Callback):
    """Adds an object to the checkpoint itself."""

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: State) -> None:
        checkpoint["mine"] = Path("x")


def test_a_callback_that_adds_an_object_is_refused_in_words(
    composed: Compose, tmp_path: Path
) -> None:
    own = f"+callbacks.mine._target_={__name__}.Adding"
    with pytest.raises(UsageError, match="on_save_checkpoint"):
        run(composed(*BUDGET, f"run_dir={tmp_path}/run", own), [])


def test_a_training_that_a_callback_ends_early_stays_ended(
    composed: Compose, tmp_path: Path
) -> None:
    stopping = [
        "+callbacks.patience._target_=lightning.pytorch.callbacks.EarlyStopping",
        "+callbacks.patience.monitor=val/psnr",
        "+callbacks.patience.mode=max",
        "+callbacks.patience.patience=1",
        "+callbacks.patience.min_delta=100",  # dB: the second validation is the last
    ]
    config = composed(*BUDGET, f"run_dir={tmp_path}/run", *stopping)
    cut(config, 4)
    assert run(config, [])["iterations"] == 4


def test_a_won_discriminator_is_recorded_and_not_fatal(composed: Compose) -> None:
    easy = ["system.saturated_accuracy=0.0", "system.saturated_iterations=3"]
    assert run(composed(*BUDGET, *easy), [])["d_saturated_at"] == 3
    assert (
        run(composed(*BUDGET, "system.saturated_accuracy=1.0", "seed=1"), [])["d_saturated_at"]
        is None
    )


def test_a_deleted_run_directory_is_not_written_again(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    def deleting(self: AdversarialSystem, batch: Any, index: int) -> None:
        if self.iteration == 3:
            shutil.rmtree(tmp_path / "run")
        step(self, batch, index)

    step = AdversarialSystem.training_step
    monkeypatch.setattr(AdversarialSystem, "training_step", deleting)
    with pytest.raises(StorageError, match="deleted while the run was under way"):
        run(composed(*BUDGET, f"run_dir={tmp_path}/run"), [])
    assert not (tmp_path / "run").exists()


def train_on_a_full_disk(overrides: list[str]) -> None:
    """Train while the kernel refuses files over 100 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    with pytest.raises(StorageError, match=r"last\.ckpt cannot be written: File too large"):
        run(load_config(overrides), overrides)


def test_a_full_disk_is_said_and_nothing_is_half_written(composed: Compose, tmp_path: Path) -> None:
    overrides = [*BUDGET, "width=32", f"run_dir={tmp_path}/run"]
    process = CONTEXT.Process(target=train_on_a_full_disk, args=(overrides,))
    process.start()
    process.join()
    assert process.exitcode == 0
    record = read_result(tmp_path / "run")
    assert record["status"] == "failed"
    assert "File too large" in record["reason"]
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert run(composed(*overrides), [])["iterations"] == 6


def test_files_are_never_writable_for_everybody(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; os.umask(0)\n"
        "from ir_lightning.files import atomic_write\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with atomic_write(folder / 'a.json') as file:\n"
        "    modes = [p.stat().st_mode for p in folder.iterdir()]\n"
        "modes += [p.stat().st_mode for p in folder.iterdir()]\n"
        "print(len(modes), any(mode & 0o002 for mode in modes))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["2", "False"]
