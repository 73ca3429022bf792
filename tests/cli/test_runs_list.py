"""`ir-lightning runs list`: what is shown is so."""

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from ir_lightning.runs.record import write_result
from ir_lightning.runs.state import DIED, write_sweep
from tests.helpers.asking import FINISHED, Hold, listed, runs


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


def test_of_a_long_curve_only_the_end_is_read(tmp_path: Path) -> None:
    curve = "iteration,seconds\n" + "".join(f"{i},1.0\n" for i in range(20_000))
    for index in range(50):
        write_result(tmp_path / str(index), {"status": "failed", "reason": "x"})
        (tmp_path / str(index) / "config.yaml").write_text("budget:\n  iterations: 2\n")
        (tmp_path / str(index) / "metrics.csv").write_text(curve)
    listed(tmp_path)  # what is imported on the way
    before = psutil.Process().io_counters().read_chars
    shown = runs("list", tmp_path).stdout
    read = psutil.Process().io_counters().read_chars - before
    assert shown.count("19999/2") == 50
    assert read < 50 * len(curve) / 4


def test_list_watches_until_all_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(tmp_path / "a", FINISHED)
    assert "1 finished" in runs("list", tmp_path, "--watch").stdout
    write_result(tmp_path / "b", {"status": "queued"})
    waits: list[float] = []

    def end(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            write_result(tmp_path / "b", FINISHED)

    monkeypatch.setattr("ir_lightning.cli.runs.time.sleep", end)
    assert "2 finished" in runs("list", tmp_path, "--watch", "--status", "finished").stdout
    assert waits == [2.0, 2.0]

    def interrupt(_: object) -> NoReturn:
        raise KeyboardInterrupt

    write_result(tmp_path / "b", {"status": "queued"})
    monkeypatch.setattr("ir_lightning.cli.runs.time.sleep", interrupt)
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
