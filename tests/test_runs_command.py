"""`ir-lightning runs`: what is shown is so, what is retried ends, what goes was not needed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from omegaconf import OmegaConf
from rich.console import Console
from typer.testing import CliRunner, Result

from ir_lightning.cli import app
from ir_lightning.commands import upkeep
from ir_lightning.data.images import write_image
from ir_lightning.errors import StorageError, UsageError
from ir_lightning.run import run
from ir_lightning.runs.checkpoint import load_state
from ir_lightning.runs.claim import Claim
from ir_lightning.runs.result import read_result, write_result
from ir_lightning.runs.state import DIED, State, state_of
from ir_lightning.runs.sweeps import write_sweep
from tests.conftest import SMALL, Compose
from tests.runs.test_claim import somebody

Hold = Callable[[Path], Any]
FINISHED = {
    "status": "finished",
    "iterations": 2,
    "degraded": {"psnr": 20.0, "ssim": 0.5},
    "restored": {"psnr": 21.5, "ssim": 0.6},
}


def runs(*arguments: object) -> Result:
    wide = Console(highlight=False, width=200)
    with pytest.MonkeyPatch.context() as patch:  # the real one has been given the width of pytest
        patch.setattr("ir_lightning.commands.runs.console", wide)
        return CliRunner().invoke(app, ["runs", *map(str, arguments)])


def listed(*arguments: object) -> list[dict[str, Any]]:
    """What `list --json` says, in JSON as every reader knows it."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    rows: list[dict[str, Any]] = json.loads(
        runs("list", *arguments, "--json").stdout, parse_constant=refuse
    )
    return rows


@pytest.fixture
def hold() -> Iterator[Hold]:
    """``hold(run_dir)``: another process that holds the run until it is killed."""
    processes: list[Any] = []

    def begin(run_dir: Path) -> Any:
        processes.append(somebody(run_dir)[0])
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.join()


@pytest.fixture
def folder(tmp_path: Path, hold: Hold) -> Path:
    """One run of each state, and one whose process was killed."""
    write_result(tmp_path / "a", FINISHED)
    write_result(tmp_path / "b", {"status": "queued", "config_hash": "77", "asked": []})
    write_result(tmp_path / "c", {"status": "failed", "reason": "a [bug]"})
    write_result(tmp_path / "dead", {"status": "running"})
    process = hold(tmp_path / "dead")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (tmp_path / "no run").mkdir()
    return tmp_path


def test_list_tells_the_states(folder: Path) -> None:
    rows = listed(folder)
    assert [(row["run"], row["status"]) for row in rows] == [
        ("a", "finished"),
        ("b", "queued"),
        ("c", "failed"),
        ("dead", "failed"),
    ]
    assert (rows[0]["psnr"], rows[0]["gain"]) == (21.5, 1.5)
    assert rows[3]["reason"] == DIED
    shown = " ".join(runs("list", folder).stdout.split())
    assert "1 queued, 1 finished, 2 failed" in shown
    assert "a [bug]" in shown
    assert [row["run"] for row in listed(folder, "--status", "queued")] == ["b"]


def test_list_shows_texts_as_they_are(folder: Path) -> None:
    """Labels with brackets are not markup, and a stranger's text does not reach the terminal."""
    swept = {"label": "logger=[wandb]", "config_hash": "0123456789", "sweep": "s"}
    write_result(folder / "b", {"status": "queued", **swept})
    write_result(folder / "c", {"status": "failed", "reason": "\x1b[31m" + "long " * 99})
    shown = runs("list", folder).stdout
    assert "logger=[wandb] 0123456789" in shown
    assert "\x1b" not in shown
    assert "long ..." in shown
    (row,) = (row for row in listed(folder) if row["run"] == "b")
    assert (row["label"], row["sweep"]) == ("logger=[wandb]", "s")
    (row,) = (row for row in listed(folder) if row["run"] == "c")
    assert row["reason"].count("long") == 99


def test_list_tells_how_far_a_run_is_and_who_is_at_it(folder: Path, hold: Hold) -> None:
    curve = "iteration,seconds,val/psnr\n" + "".join(f"{i},1.0,\n" for i in range(25, 9000, 25))
    (folder / "b" / "metrics.csv").write_text(curve)
    (folder / "b" / "config.yaml").write_text("a: 1\nbudget:\n  name: cpu\n  iterations: 9000\n")
    process = hold(folder / "b")
    (row,) = listed(folder, "--status", "running")
    assert (row["iteration"], row["iterations"]) == (8975, 9000)
    assert str(process.pid) in row["owner"]
    assert 0 <= row["heartbeat"] < 60
    shown = " ".join(runs("list", folder).stdout.split())
    assert "8975/9000" in shown
    assert "s ago" in shown
    (folder / "b" / "attempts" / "1" / "heartbeat").unlink()
    (row,) = listed(folder, "--status", "running")
    assert row["heartbeat"] == "inf"


def test_list_takes_what_a_broken_record_holds(tmp_path: Path) -> None:
    write_result(tmp_path / "a", {"status": "finished"})
    write_result(tmp_path / "copy", FINISHED | {"degraded": {"psnr": "inf", "ssim": 1.0}})
    write_result(tmp_path / "b", {**FINISHED, "restored": {"psnr": float("inf"), "ssim": 1.0}})
    for name, text in (("budget", "budget: 7"), ("binary", "\0")):
        write_result(tmp_path / name, {"status": "queued"})
        (tmp_path / name / "config.yaml").write_text(text)
        (tmp_path / name / "metrics.csv").write_text(text)
    rows = {row["run"]: row for row in listed(tmp_path)}
    assert (rows["a"]["psnr"], rows["b"]["psnr"], rows["b"]["gain"]) == (None, "inf", "inf")
    assert (rows["copy"]["psnr"], rows["copy"]["gain"]) == (21.5, None)
    assert (rows["budget"]["iteration"], rows["budget"]["iterations"]) == (0, None)
    assert runs("list", tmp_path).exit_code == 0
    for name in rows:
        assert runs("show", tmp_path / name).exit_code == 0


def test_list_shows_one_sweep(folder: Path) -> None:
    write_sweep(folder, "s", ["a", "c", "gone"])
    assert [row["run"] for row in listed(folder, "--sweep", "s")] == ["a", "c"]
    assert "no sweep" in str(runs("list", folder, "--sweep", "t").exception)
    assert "no such folder" in str(runs("list", folder / "absent").exception)
    assert "give one of them" in str(runs("list", folder, "--watch", "--json").exception)


def test_many_runs_are_listed_at_once(tmp_path: Path, composed: Compose) -> None:
    config = OmegaConf.to_yaml(composed(*SMALL), resolve=True)
    curve = "iteration,seconds\n" + "".join(f"{i},1.0\n" for i in range(20_000))
    for index in range(200):
        write_result(tmp_path / str(index), {"status": "failed", "reason": "x"})
        (tmp_path / str(index) / "config.yaml").write_text(config)
        (tmp_path / str(index) / "metrics.csv").write_text(curve)
    start = time.process_time()
    shown = runs("list", tmp_path).stdout
    assert time.process_time() - start < 1.0
    assert shown.count("19999/2") == 200


def test_list_watches_until_all_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(tmp_path / "a", FINISHED)
    assert "1 finished" in runs("list", tmp_path, "--watch").stdout
    write_result(tmp_path / "b", {"status": "queued"})
    waits: list[float] = []

    def end(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            write_result(tmp_path / "b", FINISHED)

    monkeypatch.setattr("ir_lightning.commands.runs.time.sleep", end)
    assert "2 finished" in runs("list", tmp_path, "--watch", "--status", "finished").stdout
    assert waits == [2.0, 2.0]

    def interrupt(_: object) -> NoReturn:
        raise KeyboardInterrupt

    write_result(tmp_path / "b", {"status": "queued"})
    monkeypatch.setattr("ir_lightning.commands.runs.time.sleep", interrupt)
    assert runs("list", tmp_path, "--watch").exit_code == 0


@pytest.mark.parametrize("command", ["list", "show", "clean"])
def test_looking_takes_no_torch(command: str, folder: Path) -> None:
    program = (
        "import sys; from ir_lightning.cli import main\n"
        "try:\n    main(['runs', *sys.argv[1:]])\n"
        "except SystemExit as end:\n    print(end.code, 'torch' in sys.modules)\n"
    )
    place = folder / "a" if command == "show" else folder
    command_line = [sys.executable, "-c", program, command, str(place)]
    done = subprocess.run(command_line, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "0 False"


def test_show_takes_a_path_a_name_or_a_hash(folder: Path) -> None:
    (folder / "c").rename(folder / "depth=3-abc")
    for name in (folder / "depth=3-abc", "depth=3", "abc"):
        shown = runs("show", name, "--runs", folder)
        assert shown.exit_code == 0
        assert "failed" in shown.stdout
        assert "a [bug]" in shown.stdout
    assert "no such run" in str(runs("show", "nothing", "--runs", folder).exception)
    assert "no such run" in str(runs("show", "", "--runs", folder).exception)
    write_result(folder / "depth=3-def", {**FINISHED, "label": "seed=[1]"})
    assert "any of 2 runs" in str(runs("show", "depth=3", "--runs", folder).exception)
    assert "finished" in runs("show", "seed=[1]", "--runs", folder).stdout
    write_result(folder / "depth=3", {"status": "queued"})
    assert "queued" in runs("show", "depth=3", "--runs", folder).stdout, "its whole name"


def test_show_tells_everything(folder: Path) -> None:
    means = {kind: FINISHED[kind] for kind in ("degraded", "restored")}
    whole = {**FINISHED, "dataset": "rain", "seed": 7, "budget": "cpu", "git_commit": "c0ffee"}
    whole |= {"images": 6, "scores": {"rgb8": means, "y-matlab": means}, "versions": {"torch": "2"}}
    write_result(folder / "a", whole)
    (folder / "a" / "checkpoints").mkdir()
    (folder / "a" / "checkpoints" / "best.ckpt").write_bytes(bytes(2_000_000))
    claim = Claim.take(folder / "a")
    claim.release(status="failed", reason="the [first] time")
    shown = runs("show", folder / "a").stdout
    for part in ("21.500", "y-matlab", "c0ffee", "torch 2", "2.000 MB", "checkpoints/best.ckpt"):
        assert part in shown
    assert f"attempt 1: process {os.getpid()}" in shown
    assert "failed: the [first] time" in shown


def test_show_ends_with_the_end_of_the_log(folder: Path) -> None:
    log = folder / "dead" / "attempts" / "1" / "log.txt"
    log.write_bytes(b"early\n" + b"line\n" * 9999 + b"\x1b[1mCUDA [error]\xff\n")
    shown = runs("show", folder / "dead").stdout
    assert DIED in " ".join(shown.split())
    assert shown.splitlines()[-1].endswith("CUDA [error]\ufffd")
    assert "\x1b" not in shown
    assert "early" not in shown
    assert "attempt 1: process" in shown
    assert "ended without a word" in shown


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
    plain: Any = OmegaConf.to_container(composed(*SMALL), resolve=True)
    marker = tmp_path / "marker"
    plain[place]["deep"] = [json.loads(json.dumps(evil).replace("{marker}", str(marker)))]
    run_dir = tmp_path / "stranger"
    write_result(run_dir, {"status": "failed", "reason": "x", "config_hash": "1", "asked": []})
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
        upkeep.again(place)  # begun after it was looked at


def aged(*paths: Path) -> None:
    """Written long ago."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (1, 1))


def test_clean_deletes_what_it_says(folder: Path, hold: Hold) -> None:
    for name in ("a", "b", "c"):
        for file in ("last.ckpt", "previous.ckpt", "best.ckpt", ".last.ckpt.abcd1234"):
            aged(folder / name / "checkpoints" / file)
        aged(folder / name / "attempts" / ".new-x" / "claim.json")
        os.utime(folder / name / "attempts" / ".new-x", (1, 1))
    aged(folder / "sweeps" / ".s.json.abcd1234", folder / ".deleted-old" / "result.json")
    (folder / "c" / ".result.json.abcd1234").touch()  # somebody is writing
    hold(folder / "b")

    def there() -> set[str]:
        files = (p.relative_to(folder) for p in folder.rglob("*") if p.name != "heartbeat")
        return set(map(str, files))

    before = there()
    for options in ((), ("--failed",)):
        shown = runs("clean", folder, *options).stdout
        assert "would go" in shown
        assert there() == before, "nothing goes without --yes"

    done = runs("clean", folder, "--yes")
    assert done.exit_code == 0, done.output
    finished = {"a/checkpoints/last.ckpt", "a/checkpoints/previous.ckpt"}
    left = {f"{name}/checkpoints/.last.ckpt.abcd1234" for name in ("a", "c")}
    left |= {f"{name}/attempts/.new-x{file}" for name in ("a", "c") for file in ("", "/claim.json")}
    left |= {"sweeps/.s.json.abcd1234", ".deleted-old", ".deleted-old/result.json"}
    assert before - there() == finished | left
    assert there() <= before, "and it leaves no trace"
    assert "8 files and folders (0.0 MB) deleted" in done.stdout

    assert runs("clean", folder, "--failed", "--yes").exit_code == 0
    assert {path.name for path in folder.iterdir()} == {"a", "b", "no run", "sweeps"}
    assert {p for p in there() if p[0] == "b"} == {p for p in before if p[0] == "b"}
    assert {path.name for path in (folder / "a" / "checkpoints").iterdir()} == {"best.ckpt"}


def test_clean_leaves_what_was_begun_meanwhile(folder: Path, hold: Hold) -> None:
    def seen(name: str) -> State:
        state = state_of(folder / name)
        assert state is not None
        return state

    dead, queued, finished = seen("dead"), seen("b"), seen("a")
    process = hold(folder / "dead")
    with pytest.raises(StorageError, match=f"process {process.pid}"):
        upkeep.delete(dead, [folder / "dead"])
    process.kill()
    process.join()
    with pytest.raises(StorageError, match="meanwhile"):  # it has died, but it may have trained
        upkeep.delete(dead, [folder / "dead"])
    write_result(folder / "b", FINISHED)
    with pytest.raises(StorageError, match="meanwhile"):
        upkeep.delete(queued, [folder / "b"])
    process = hold(folder / "a")  # rerun=true: it still counts as finished
    aged(last := folder / "a" / "checkpoints" / "last.ckpt")
    with pytest.raises(StorageError, match=f"process {process.pid}"):
        upkeep.delete(finished, [last])
    done = runs("clean", folder, "--yes")
    assert done.exit_code == 1
    assert f"process {process.pid}" in done.stderr
    assert last.exists()
    assert {path.name for path in (folder / "dead" / "attempts").iterdir()} == {"1", "2"}


def test_a_run_that_begins_anew_is_not_touched_by_the_end_of_a_cleaning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moment that its directory is out of the way and the end of the deletion."""
    state = state_of(folder / "c")
    begun: list[Claim] = []
    remove = upkeep._remove

    def begin(paths: list[Path]) -> None:
        begun.append(Claim.take(folder / "c"))
        remove(paths)

    monkeypatch.setattr(upkeep, "_remove", begin)
    upkeep.delete(state, [folder / "c"])
    begun[0].require()
    assert {path.name for path in begun[0].directory.iterdir()} == {
        "claim.json",
        "heartbeat",
        "lock",
    }
    assert not list(folder.glob(".deleted-*"))
    begun[0].release(status="failed")
