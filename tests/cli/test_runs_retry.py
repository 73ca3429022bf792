"""`ir-lightning runs retry`: what is retried ends, and what cannot be trusted is not run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from ir_lightning.cli import runs_upkeep as upkeep
from ir_lightning.data.image_files import write_image
from ir_lightning.errors import UsageError
from ir_lightning.launch.run import run
from ir_lightning.runs.record import read_result, write_result
from ir_lightning.training.checkpoint import load_state
from tests.conftest import SMALL, Compose
from tests.helpers.asking import FINISHED, Hold, runs

pytestmark = pytest.mark.slow


def cut_off(composed: Compose, run_dir: Path, *overrides: str) -> dict[str, Any]:
    """A run that has a checkpoint of iteration 2 and failed at its third; its record."""
    from ir_lightning.systems.adversarial import AdversarialSystem as System

    step = System.training_step

    def broken(self: System, *batch: Any) -> None:
        if self.iteration == 2:
            raise RuntimeError("a bug")
        step(self, *batch)

    options = ("depth=1", "budget.iterations=4", "budget.checkpoint_every=2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(System, "training_step", broken)
        with pytest.raises(RuntimeError):
            run(composed(*SMALL, *options, f"run_dir={run_dir}", *overrides), ["depth=1"])
    return read_result(run_dir)


def test_retry_continues_a_failed_run(composed: Compose, tmp_path: Path) -> None:
    """With photographs of the user's own, whose folder a resolved configuration still names."""
    (tmp_path / "mine").mkdir()
    for index in range(4):
        noise = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        write_image(tmp_path / "mine" / f"{index}.png", noise)
    run_dir = tmp_path / "runs" / "a"
    failed = cut_off(composed, run_dir, f"clean_dir={tmp_path}/mine")
    assert failed["status"] == "failed"
    write_result(tmp_path / "runs" / "b", FINISHED)
    config = (run_dir / "config.yaml").read_bytes()
    done = runs("retry", "--failed", "--runs", tmp_path / "runs")
    assert done.exit_code == 0, done.output
    assert "1 of 1 runs finished" in done.stdout
    record = read_result(run_dir)
    assert (record["status"], record["iterations"], record["attempt"]) == ("finished", 4, 2)
    assert record["config_hash"] == failed["config_hash"]
    assert (run_dir / "config.yaml").read_bytes() == config
    assert (run_dir / "attempts" / "2" / "log.txt").exists(), "in a process of its own"
    assert load_state(run_dir / "checkpoints" / "previous.ckpt")["iteration"] == 2, "not anew"
    assert "is finished" in runs("retry", run_dir, run_dir / ".").stdout


@pytest.mark.parametrize(
    "evil",
    [
        {"_target_": "os.system", "_args_": ["touch {marker}"]},
        {"_target_": "os.system", "_partial_": True, "command": "touch {marker}"},
        {"_target_": "ir_lightning.build.os.system", "_args_": ["touch {marker}"]},
        {"_target_": "ir_lightning.build.build", "node": {"_target_": "os.system"}, "key": "x"},
        {"_target_": "ir_lightning.launch.run.run"},
        {"_target_": "functools.partial"},
        {"_target_": "torch.load", "f": "{marker}"},
        {"x": "${{oc.env:HOME}}"},
    ],
    ids=lambda evil: str(evil.get("_target_", "reference")),
)
@pytest.mark.parametrize("place", ["generator", "callbacks"])
def test_a_strangers_run_directory_is_refused(
    evil: dict[str, Any], place: str, composed: Compose, tmp_path: Path
) -> None:
    plain: Any = OmegaConf.to_container(composed(*SMALL), resolve=True)
    marker = tmp_path / "marker"
    plain[place]["deep"] = [json.loads(json.dumps(evil).replace("{marker}", str(marker)))]
    run_dir = tmp_path / "stranger"
    write_result(run_dir, {"status": "failed", "reason": "x", "config_hash": "1", "overrides": []})
    (run_dir / "config.yaml").write_text(json.dumps(plain))  # JSON is YAML
    write_result(tmp_path / "other", {"status": "failed", "reason": "x"})
    (tmp_path / "other" / "config.yaml").write_text("[" * 9999)
    done = runs("retry", run_dir, tmp_path / "other")
    assert done.exit_code == 2
    refused, other = done.stderr.splitlines()
    assert f"{run_dir}/config.yaml: refused" in refused
    assert str(evil.get("_target_", "oc.env")) in refused
    assert "cannot be read" in other, "one refusal does not keep the others from their turn"
    assert not marker.exists()
    assert not (run_dir / "attempts").exists()


def configured(folder: Path, composed: Compose, **changed: Any) -> Path:
    """A failed run by hand, with a configuration that is complete but for what was changed."""
    plain: Any = OmegaConf.to_container(composed(*SMALL), resolve=True)
    write_result(folder / "c", {"status": "failed", "reason": "x"})
    (folder / "c" / "config.yaml").write_text(json.dumps({**plain, **changed}))
    return folder / "c"


def test_retry_says_why_it_cannot(folder: Path, composed: Compose) -> None:
    def said(place: Path) -> str:
        done = runs("retry", place)
        assert done.exit_code == 2, done.output
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert not (place / "attempts").exists()
        return done.stderr

    assert "never begun" in said(folder / "b")
    assert "not the configuration of a run" in said(
        configured(folder, composed, system=7, budget=[])
    )
    assert "not the configuration of a run" in said(configured(folder, composed, dataset=None))
    several = {"_target_": "lightning.pytorch.Trainer", "devices": 2, "accelerator": "gpu"}
    strategy = {"_target_": "lightning.pytorch.strategies.DDPStrategy"}
    place = configured(folder, composed, trainer={**several, "strategy": strategy})
    assert "trainer.devices=2" in said(place)
    (place / "config.yaml").write_text("&a [*a]")
    assert "alias" in said(place)
    (place / "config.yaml").write_text("[]")
    assert "not the configuration of a run" in said(place)
    assert isinstance(runs("retry").exception, UsageError)
    assert isinstance(runs("retry", "c", "--failed").exception, UsageError)


def test_retry_leaves_a_running_run_alone(folder: Path, composed: Compose, hold: Hold) -> None:
    place = configured(folder, composed)
    process = hold(place)
    done = runs("retry", place)
    assert "is running" in done.stdout
    assert "0 of 0" in done.stdout
    with pytest.raises(UsageError, match=f"trained by process {process.pid}"):
        upkeep.resume(place)  # begun after it was looked at
