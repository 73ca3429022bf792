"""`ir-lightning runs`: what is shown is so, what is retried ends, what goes was not needed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ir_lightning.cli import app
from ir_lightning.errors import UsageError
from ir_lightning.run import run
from ir_lightning.runs.result import read_result, write_result
from ir_lightning.runs.state import DIED
from tests.conftest import SMALL, Compose
from tests.runs.test_claim import somebody

FINISHED = {
    "status": "finished",
    "iterations": 2,
    "degraded": {"psnr": 20.0, "ssim": 0.5},
    "restored": {"psnr": 21.5, "ssim": 0.6},
}


def runs(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["runs", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One run of each state, and one whose process was killed."""
    write_result(tmp_path / "a", FINISHED)
    write_result(tmp_path / "b", {"status": "queued", "config_hash": "77", "asked": []})
    write_result(tmp_path / "c", {"status": "failed", "reason": "a [bug]"})
    write_result(tmp_path / "dead", {"status": "running"})
    process, _ = somebody(tmp_path / "dead")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (tmp_path / "no run").mkdir()
    return tmp_path


def test_list_tells_the_states(folder: Path) -> None:
    listed = json.loads(runs("list", folder, "--json").stdout)
    assert [(row["run"], row["status"]) for row in listed] == [
        ("a", "finished"),
        ("b", "queued"),
        ("c", "failed"),
        ("dead", "failed"),
    ]
    assert (listed[0]["psnr"], listed[0]["gain"]) == (21.5, 1.5)
    assert listed[3]["reason"] == DIED
    shown = " ".join(runs("list", folder).stdout.split())
    assert "1 queued, 1 finished, 2 failed" in shown
    assert "a [bug]" in shown
    assert [
        row["run"]
        for row in json.loads(runs("list", folder, "--json", "--status", "queued").stdout)
    ] == ["b"]


def test_list_watches_until_all_have_ended(tmp_path: Path) -> None:
    write_result(tmp_path / "a", FINISHED)
    assert "1 finished" in runs("list", tmp_path, "--watch").stdout


def test_looking_takes_no_torch(folder: Path) -> None:
    program = (
        "import sys; from ir_lightning.cli import main\n"
        "try:\n    main(['runs', 'list', sys.argv[1]])\n"
        "except SystemExit:\n    print('torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split()[-1] == "False"


def test_show_takes_a_path_a_name_or_a_hash(folder: Path) -> None:
    (folder / "c").rename(folder / "depth=3-abc")
    for name in (folder / "depth=3-abc", "depth=3", "abc"):
        shown = runs("show", name, "--runs", folder)
        assert shown.exit_code == 0
        assert "failed" in shown.stdout
        assert "a [bug]" in shown.stdout
    assert isinstance(runs("show", "nothing", "--runs", folder).exception, UsageError)
    write_result(folder / "depth=3-def", FINISHED)
    with pytest.raises(UsageError, match="any of 2 runs"):
        CliRunner().invoke(
            app, ["runs", "show", "depth=3", "--runs", str(folder)], catch_exceptions=False
        )


def test_retry_ends_a_failed_run(composed: Compose, tmp_path: Path) -> None:
    run_dir = tmp_path / "runs" / "a"
    config = composed(*SMALL, f"run_dir={run_dir}", "depth=1", "budget.iterations=4")

    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ir_lightning.systems.adversarial.AdversarialSystem.training_step", broken)
        with pytest.raises(RuntimeError):
            run(config, ["depth=1"])
    failed = read_result(run_dir)
    done = runs("retry", "--failed", "--runs", tmp_path / "runs")
    assert done.exit_code == 0, done.output
    record = read_result(run_dir)
    assert (record["status"], record["iterations"]) == ("finished", 4)
    assert record["config_hash"] == failed["config_hash"]
    assert run(config, ["depth=1"])["attempt"] == 2, "the train.py command finds it finished"


@pytest.mark.parametrize(
    "evil",
    [
        {"_target_": "os.system", "_args_": ["touch {marker}"]},
        {"_target_": "os.system", "_partial_": True, "command": "touch {marker}"},
        {"_target_": "ir_lightning.runs.trust.os.system", "_args_": ["touch {marker}"]},
        {"_target_": "ir_lightning.build.build", "node": {"_target_": "os.system"}, "key": "x"},
        {"_target_": "ir_lightning.run.run"},
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
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(composed(*SMALL), resolve=True)
    marker = tmp_path / "marker"
    plain[place]["deep"] = [json.loads(json.dumps(evil).replace("{marker}", str(marker)))]
    run_dir = tmp_path / "stranger"
    write_result(run_dir, {"status": "failed", "reason": "x", "config_hash": "1", "asked": []})
    (run_dir / "config.yaml").write_text(json.dumps(plain))  # JSON is YAML
    done = runs("retry", run_dir)
    assert isinstance(done.exception, UsageError)
    assert "refused" in str(done.exception)
    assert not marker.exists()
    assert not (run_dir / "attempts").exists()


def test_a_run_that_was_never_begun_names_its_command(folder: Path) -> None:
    done = runs("retry", folder / "b")
    assert isinstance(done.exception, UsageError)
    assert "never begun" in str(done.exception)


def test_clean_deletes_what_it_says(folder: Path) -> None:
    for name in ("a", "c"):
        (folder / name / "checkpoints").mkdir()
        for file in ("last.ckpt", "previous.ckpt", "best.ckpt", ".last.ckpt.abcd1234"):
            (folder / name / "checkpoints" / file).write_bytes(bytes(1000))
    process, _ = somebody(folder / "b")
    (folder / "b" / ".result.json.abcd1234").touch()

    before = sorted(folder.rglob("*"))
    shown = runs("clean", folder, "--failed").stdout
    assert "would go" in shown
    assert sorted(folder.rglob("*")) == before, "nothing goes without --yes"

    assert runs("clean", folder, "--yes").exit_code == 0
    assert [p.name for p in (folder / "a" / "checkpoints").iterdir()] == ["best.ckpt"]
    kept = {p.name for p in (folder / "c" / "checkpoints").iterdir()}
    assert kept == {"last.ckpt", "previous.ckpt", "best.ckpt"}
    assert (folder / "b" / ".result.json.abcd1234").exists(), "a running run is left alone"

    assert runs("clean", folder, "--failed", "--yes").exit_code == 0
    assert not (folder / "c").exists()
    assert not (folder / "dead").exists()
    assert (folder / "a").exists()
    assert (folder / "b").exists()
    process.kill()
    process.join()
