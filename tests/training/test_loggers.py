"""Nothing that W&B does or does not do can fail a run or delay it for long, or tear it in two."""

import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ir_lightning.errors import UsageError
from ir_lightning.training.loggers.local import CurveLogger, close, publish, tensorboard_logger
from ir_lightning.training.loggers.wandb import Wandb, wandb_logger
from tests.conftest import ROOT
from tests.helpers.commands import train
from tests.helpers.wandb_servers import Answering, silent, upload

ID = "0123456789"
PATIENCE = 4.0  # seconds
SLACK = 8.0  # seconds that wandb's service may take to start and to end on a busy machine
RESULT = {"iterations": 9, "degraded": {"psnr": 20.0}, "restored": {"psnr": 25.0, "vif": 0.5}}
SCORES = pd.DataFrame({"name": ["a"], "psnr": [25.0]})
Make = Callable[..., Wandb]


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("account")]


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """The seconds that the import of wandb takes are not what the tests measure."""
    import wandb.sdk.launch  # noqa: F401


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def logger(mode: str, patience: float = PATIENCE, **more: Any) -> Wandb:
        config = {"depth": 2, "loss": {"l1": 1.0}}
        return wandb_logger(tmp_path, ID, config, "p", None, mode, patience=patience, **more)

    return logger


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """The warnings of the test."""
    sentences: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)  # Python says nothing of it, either
        warnings.showwarning = lambda message, *_, **__: sentences.append(str(message))
        yield sentences


def log(logger: Wandb, *iterations: int) -> None:
    for iteration in iterations:
        logger.log_metrics({"train/l1": 1 / iteration}, step=iteration)


def end(logger: Wandb) -> float:
    """Publish and close as at the end of a training; the seconds that it took."""
    before = time.monotonic()
    publish([logger], RESULT, SCORES, np.zeros((8, 8, 3), np.uint8))
    close([logger], "finished")
    return time.monotonic() - before


def parts(folder: Path, kind: str = "offline-run", run_id: str = ID) -> list[Path]:
    return sorted(folder.glob(f"wandb/{kind}-*-{run_id}/run-{run_id}.wandb"))


def history(server: Answering) -> list[int]:
    """The iterations on the server in the order of W&B's own steps, which must have no gap."""
    rows = [row for row in server.rows[ID].values() if "train/l1" in row]
    every = [row["_step"] for row in server.rows[ID].values()]
    assert every == list(range(len(every)))
    return [row["iteration"] for row in rows]


def service() -> psutil.Process:
    """The process that wandb has started."""
    children = psutil.Process().children()
    return next(child for child in children if child.name() == "wandb-core")


def test_a_training_goes_on_offline_when_the_server_never_answers(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    overrides = ["budget=smoke", "budget.test_images=1", "callbacks=none", f"run_dir={run_dir}"]
    overrides += [f"logger.wandb.{setting}" for setting in ("mode=online", "patience=3")]
    with silent() as address:
        done = train(*overrides, WANDB_BASE_URL=address)
    assert done.code == 0, done.err
    assert done.err.count("W&B") == 1
    assert f"`wandb sync {run_dir}/wandb/offline-run-*` uploads it later" in done.err
    (part,) = run_dir.glob("wandb/offline-run-*/run-*.wandb")
    assert b"train/l1" in part.read_bytes()
    assert b"test/images" in part.read_bytes()


def test_a_server_that_never_answers_delays_a_run_by_the_patience(
    make: Make, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent() as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        before = time.monotonic()
        logger = make("online")
        assert PATIENCE < time.monotonic() - before < PATIENCE + SLACK
        assert end(logger) < SLACK
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("key", "reason"), [("a" * 40, "refused"), ("too-short", "40"), (None, "no API key")]
)
def test_without_a_server_or_a_valid_key_a_run_is_logged_offline(
    key: str | None,
    reason: str,
    make: Make,
    warned: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    logger = make("online", patience=2)
    log(logger, 1, 2)
    assert end(logger) < SLACK
    assert len(warned) == 1
    assert "could not begin this run online" in warned[0]
    assert reason in warned[0]
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    with Answering() as server:
        upload(parts(tmp_path), server)
        assert history(server) == [1, 2]


def test_offline_no_server_is_spoken_to_and_no_account_needed(
    make: Make, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    with Answering() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        logger = make("offline")
        log(logger, 1)
        assert not service().net_connections("inet")
        assert "--no-observability" in service().cmdline()  # or it reports its errors to W&B
        end(logger)
        assert server.requests == 0
    assert warned == []


def test_a_folder_that_cannot_be_written_turns_wandb_off(
    make: Make, warned: list[str], tmp_path: Path
) -> None:
    (tmp_path / "wandb").write_text("in the way")
    logger = make("offline")
    log(logger, 1, 2, 3)
    assert end(logger) < SLACK
    assert len(warned) == 1
    assert "so it is off" in warned[0]


def test_when_the_service_of_wandb_dies_the_run_goes_on_and_so_does_the_next(
    make: Make, warned: list[str], tmp_path: Path
) -> None:
    logger = make("offline")
    log(logger, 1)
    os.kill(service().pid, signal.SIGKILL)
    for iteration in range(2, 60):
        log(logger, iteration)
        time.sleep(0.01)
    assert end(logger) < SLACK
    assert len(warned) == 1
    assert "does not have all of this run" in warned[0]
    other = wandb_logger(tmp_path, "another", {}, "p", None, "offline")
    log(other, 5)
    end(other)
    assert len(warned) == 1
    assert b"train/l1" in parts(tmp_path, run_id="another")[0].read_bytes()


def test_a_run_that_is_never_closed_does_not_leak_into_the_next(
    make: Make, warned: list[str], tmp_path: Path
) -> None:
    log(make("offline"), 1)
    other = wandb_logger(tmp_path, "another", {}, "p", None, "offline")
    log(other, 5)
    end(other)
    with Answering() as server:
        upload(parts(tmp_path, run_id="another"), server)
        (rows,) = server.rows.values()
    assert [row["iteration"] for row in rows.values() if "train/l1" in row] == [5]
    assert warned == []


def test_a_logger_leaves_the_random_numbers_of_the_training_alone(make: Make) -> None:
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    logger = make("offline")
    log(logger, 1)
    end(logger)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert after == states


def test_a_server_that_falls_silent_leaves_all_on_disk(
    make: Make, warned: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Answering(falls_silent=True) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        logger = make("online", patience=8)
        log(logger, 1, 2, 3)
        assert end(logger) < 8 + SLACK
    assert len(warned) == 1
    assert f"`wandb sync --include-online {parts(tmp_path, 'run')[0].parent}`" in warned[0]
    with Answering() as later:
        upload(parts(tmp_path, "run"), later)
        assert history(later) == [1, 2, 3]


def test_a_resumed_run_is_the_same_run_online(
    make: Make, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Answering() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        for iterations in ([1, 2, 3], [3, 4]):  # 3 was logged before the crash, but not saved
            logger = make("online", patience=30, group="sweep")
            log(logger, *iterations)
            close([logger], "finished")
        assert history(server) == [1, 2, 3, 3, 4]
        assert [run["groupName"] for run in server.runs[ID]] == ["sweep", "sweep"]
        assert list(server.runs) == [ID]
    assert warned == []


def test_parts_of_a_killed_run_are_synced_as_one_run(
    make: Make, warned: list[str], tmp_path: Path
) -> None:
    script = f"""
import os, pathlib, time
from ir_lightning.training.loggers.wandb import wandb_logger
logger = wandb_logger(pathlib.Path({str(tmp_path)!r}), "{ID}", {{}}, "p", None, "offline")
for iteration in (1, 2, 3):
    logger.log_metrics({{"train/l1": 1 / iteration}}, step=iteration)
time.sleep(3)  # W&B writes every second
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == -9
    logger = make("offline")
    log(logger, 3, 4)
    end(logger)
    assert len(parts(tmp_path)) == 2
    with Answering() as server:
        upload(parts(tmp_path), server)
        assert history(server) == [1, 2, 3, 3, 4]
        assert list(server.runs) == [ID]
    assert warned == []


def test_what_a_power_cut_leaves_does_not_stop_a_sync_of_part_after_part(
    make: Make, tmp_path: Path
) -> None:
    logger = make("offline")
    log(logger, *range(1, 301))
    end(logger)
    (cut,) = parts(tmp_path)
    os.truncate(cut, 1 << 16)  # W&B writes whole blocks
    time.sleep(1)  # it names the folder of a part by the second, and a restart takes longer
    logger = make("offline")
    log(logger, 401, 402)
    end(logger)
    with Answering() as server:
        for part in parts(tmp_path):
            upload([part], server)
        *early, late, last = history(server)
    assert 100 < len(early) < 300
    assert early == list(range(1, len(early) + 1))
    assert (late, last) == (401, 402)


@pytest.mark.parametrize(("mode", "patience"), [("onlin", 1.0), ("offline", 0.0)])
def test_a_senseless_mode_or_patience_is_refused(mode: str, patience: float, make: Make) -> None:
    with pytest.raises(UsageError, match=r"logger\.wandb"):
        make(mode, patience)


def test_a_run_directory_does_not_say_where_the_key_is_sent(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Answering() as server, Answering() as stranger:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        (tmp_path / "wandb").mkdir()
        (tmp_path / "wandb" / "settings").write_text(f"[default]\nbase_url = {stranger.address}\n")
        close([make("online", patience=30)], "finished")
        assert server.requests > 0
        assert stranger.requests == 0


def test_tensorboard_shows_curve_scores_of_any_metric_and_images(tmp_path: Path) -> None:
    logger = tensorboard_logger(tmp_path, ID, {})
    logger.log_metrics({"train/l1": 0.5}, step=3)
    logger.finalize("success")  # as Lightning does after the training, and before the test
    publish([logger], RESULT, pd.DataFrame(), np.zeros((8, 8, 3), np.uint8))
    close([logger], "finished")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    scalars = {tag: events.Scalars(tag)[0] for tag in events.Tags()["scalars"]}
    assert (scalars["train/l1"].step, scalars["train/l1"].value) == (3, 0.5)
    assert (scalars["test/restored_vif"].step, scalars["test/restored_vif"].value) == (9, 0.5)
    assert scalars["test/degraded_psnr"].value == 20.0
    assert events.Tags()["images"] == ["test/grid"]


def test_a_curve_is_resumed_with_its_digits_and_new_columns_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = CurveLogger(path)
    for iteration in (1, 2, 3):
        first.log_metrics({"train/l1": 0.1 * iteration}, step=iteration)
    first.finalize("failed")
    again = CurveLogger(path, start=2)
    again.log_metrics({"train/l1": 0.5, "val/psnr": 20.0}, step=3)
    again.finalize("success")
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    assert header == ["iteration", "seconds", "train/l1", "val/psnr"]
    assert [[row[0], *row[2:]] for row in rows] == [
        ["1", "0.1", ""],
        ["2", "0.2", ""],
        ["3", "0.5", "20.0"],
    ]
