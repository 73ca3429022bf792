"""Nothing that W&B does or does not do can hold up or fail a run, or tear it in two."""

import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_lightning.errors import UsageError
from ir_lightning.training.loggers import patient_wandb
from ir_lightning.training.loggers.loggers import close, publish, wandb_logger
from ir_lightning.training.loggers.patient_wandb import PatientWandb
from tests.conftest import ROOT
from tests.helpers.wandb_servers import Answering, silent, upload

ID = "0123456789"
PATIENCE = 16.0  # seconds; enough to begin twice on a slow and busy machine
SLACK = 2.0  # seconds; of what would otherwise hold a run up for the patience or for ever
Make = Callable[..., PatientWandb]


pytestmark = pytest.mark.usefixtures("account")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def logger(mode: str, patience: float = PATIENCE, **more: Any) -> PatientWandb:
        config = {"depth": 2, "loss": {"l1": 1.0}}
        return wandb_logger(tmp_path, ID, config, "p", None, mode, patience=patience, **more)

    return logger


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What was warned of in the test."""
    sentences: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: sentences.append(str(message))
        yield sentences


def log(logger: PatientWandb, *iterations: int) -> None:
    for iteration in iterations:
        logger.log_metrics({"train/l1": 1 / iteration}, step=iteration)


def end(logger: PatientWandb) -> float:
    """Publish and close as at the end of a training; the seconds that it took."""
    scores = {"degraded": {"psnr": 20.0}, "restored": {"psnr": 25.0}}
    before = time.monotonic()
    publish([logger], scores, [{"name": "a", "psnr": 25.0}], np.zeros((8, 8, 3), np.uint8))
    close([logger], "finished")
    return time.monotonic() - before


def parts(folder: Path, kind: str = "offline-run") -> list[Path]:
    return sorted(folder.glob(f"wandb/{kind}-*-{ID}/run-{ID}.wandb"))


def sync(files: list[Path], server: Answering) -> list[int]:
    """Upload what is on disk, as `history` then tells."""
    upload(files, server)
    return history(server)


def history(server: Answering) -> list[int]:
    """The iterations on the server in the order of W&B's own steps, which must have no gap."""
    rows = [row for row in server.rows[ID].values() if "train/l1" in row]
    every = [row["_step"] for row in server.rows[ID].values()]
    assert every == list(range(len(every)))
    return [row["iteration"] for row in rows]


def test_a_training_ends_in_time_and_offline_when_the_server_never_answers(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    wandb = ["mode=online", "patience=6"]
    overrides = ["budget=smoke", "budget.test_images=1", "callbacks=none", f"run_dir={run_dir}"]
    command = [sys.executable, "train.py", *overrides, *(f"logger.wandb.{key}" for key in wandb)]
    with silent() as address:
        environment = os.environ | {"WANDB_BASE_URL": address}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    ended = time.time()
    assert done.returncode == 0, done.stderr
    # The curve is closed just before W&B is, which then has its six seconds.
    assert ended - (run_dir / "metrics.csv").stat().st_mtime < 6 + 3
    assert done.stderr.count("W&B") == 1
    assert f"`wandb sync {run_dir}/wandb/offline-run-*` uploads it later" in done.stderr
    digest = run_dir.glob("wandb/offline-run-*/run-*.wandb")
    assert b"train/l1" in next(digest).read_bytes()


def test_a_server_that_is_not_there_is_told_once(
    make: Make, told: list[str], tmp_path: Path
) -> None:
    logger = make("online")
    log(logger, 1, 2)
    assert end(logger) < PATIENCE + SLACK
    assert len(told) == 1
    assert "could not begin this run online" in told[0]
    with Answering() as server:
        assert sync(parts(tmp_path), server) == [1, 2]


@pytest.mark.parametrize("key", [None, "too-short"])
def test_without_a_valid_key_a_run_is_logged_offline(
    key: str | None,
    make: Make,
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    logger = make("online")
    log(logger, 1)
    assert end(logger) < PATIENCE + SLACK
    assert len(told) == 1
    assert "API" in told[0]
    assert b"train/l1" in parts(tmp_path)[0].read_bytes()


def test_a_folder_that_cannot_be_written_turns_wandb_off(
    make: Make, told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "wandb").write_text("in the way")
    logger = make("offline")
    logger.thread.join(PATIENCE)
    log(logger, 1, 2, 3)
    assert end(logger) < SLACK
    assert len(told) == 1
    assert "is off for this run" in told[0]
    assert "Not a directory" in told[0]


def test_a_full_quota_is_told_once(make: Make, told: list[str]) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 15, before[1]))
    try:
        logger = make("offline")
        logger.begun.wait(PATIENCE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log(logger, *range(1, 400))
    assert end(logger) < PATIENCE + SLACK
    assert len(told) == 1
    assert "does not have all of this run" in told[0]


def test_when_the_service_of_wandb_dies_the_run_goes_on(make: Make, told: list[str]) -> None:
    logger = make("offline")
    log(logger, 1)
    assert logger.begun.wait(PATIENCE)
    assert logger.process
    pid = logger.process.popen.pid
    service = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    os.kill(int(service), signal.SIGKILL)
    for iteration in range(2, 60):
        log(logger, iteration)
        time.sleep(0.01)
    assert end(logger) < PATIENCE + SLACK
    assert len(told) == 1
    assert "does not have all of this run" in told[0]


def test_a_process_that_hangs_costs_the_patience_and_no_more(
    make: Make, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_wandb, "WAITING", 5000)
    logger = make("offline", patience=2)
    assert logger.begun.wait(PATIENCE)
    assert logger.process
    os.kill(logger.process.popen.pid, signal.SIGSTOP)
    before = time.monotonic()
    log(logger, *range(1, 4000))  # more than a pipe holds
    assert time.monotonic() - before < 1.0  # half the patience
    assert 1.5 < end(logger) < 2 + SLACK
    assert len(told) == 1
    assert "left behind after 2 seconds" in told[0]
    assert logger.process.popen.wait(SLACK) == -signal.SIGKILL


def test_messages_that_nobody_takes_do_not_pile_up(
    make: Make, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_wandb, "WAITING", 3)
    logger = make("offline", patience=0.5)
    log(logger, *range(1, 10))
    assert told == ["W&B takes no more, and is off for the rest of this run."]
    assert end(logger) < 0.5 + SLACK
    assert len(told) == 1


def test_a_server_that_falls_silent_leaves_all_on_disk(
    make: Make, told: list[str], tmp_path: Path
) -> None:
    with Answering(falls_silent=True) as server:
        os.environ["WANDB_BASE_URL"] = server.address
        logger = make("online", patience=3)
        assert logger.begun.wait(PATIENCE)
        log(logger, 1, 2, 3)
        assert end(logger) < 3 + SLACK
    assert len(told) == 1
    assert f"`wandb sync --include-online {parts(tmp_path, 'run')[0].parent}`" in told[0]
    with Answering() as later:
        assert sync(parts(tmp_path, "run"), later) == [1, 2, 3]


def test_a_continued_run_is_the_same_run_online(make: Make, told: list[str]) -> None:
    with Answering() as server:
        os.environ["WANDB_BASE_URL"] = server.address
        for iterations in ([1, 2, 3], [3, 4]):  # 3 was logged before the crash, but not saved
            logger = make("online", patience=30, group="sweep")
            log(logger, *iterations)
            end(logger)
        assert history(server) == [1, 2, 3, 3, 4]
        assert [run["groupName"] for run in server.runs[ID]] == ["sweep", "sweep"]
        assert list(server.runs) == [ID]
    assert told == []


def test_parts_of_a_killed_run_are_synced_as_one_run(
    make: Make, told: list[str], tmp_path: Path
) -> None:
    script = f"""
import os, pathlib, time
from ir_lightning.runs.loggers import wandb_logger
logger = wandb_logger(pathlib.Path({str(tmp_path)!r}), "{ID}", {{}}, "p", None, "offline")
for iteration in (1, 2, 3):
    logger.log_metrics({{"train/l1": 1 / iteration}}, step=iteration)
logger.begun.wait()
while not logger.messages.empty():
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == -9
    logger = make("offline")
    log(logger, 3, 4)
    end(logger)
    assert len(parts(tmp_path)) == 2
    with Answering() as server:
        assert sync(parts(tmp_path), server) == [1, 2, 3, 3, 4]
        assert list(server.runs) == [ID]
    assert told == []


def test_what_a_power_cut_leaves_does_not_stop_the_sync(make: Make, tmp_path: Path) -> None:
    logger = make("offline")
    log(logger, *range(1, 301))
    end(logger)
    (cut,) = parts(tmp_path)
    empty = tmp_path / "wandb" / f"offline-run-20000101_000000-{ID}" / cut.name
    empty.parent.mkdir()
    empty.write_bytes(cut.read_bytes()[:7])
    os.truncate(cut, 1 << 16)  # W&B writes whole blocks
    logger = make("offline")
    log(logger, 401, 402)
    end(logger)
    assert not empty.exists()
    with Answering() as server:
        *early, late, last = sync(parts(tmp_path), server)
    assert 100 < len(early) < 300
    assert early == list(range(1, len(early) + 1))
    assert (late, last) == (401, 402)


@pytest.mark.parametrize(("mode", "patience"), [("onlin", 1.0), ("offline", 0.0)])
def test_a_senseless_mode_or_patience_is_refused(mode: str, patience: float, make: Make) -> None:
    with pytest.raises(UsageError, match=r"logger\.wandb"):
        make(mode, patience)
