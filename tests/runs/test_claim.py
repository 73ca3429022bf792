"""Two processes never hold one run, and a dead one does not keep it."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ir_lightning.errors import StorageError
from ir_lightning.runs import claim as claims
from ir_lightning.runs.claim import Attempt, Claim, Owner, TakenError, latest_attempt, still_ours
from ir_lightning.runs.state import DIED, state_of

FORK = multiprocessing.get_context("fork")  # what holds a run here needs no torch


def hold(run_dir: Path, tell: Any) -> None:
    """Claim, say so, and never let go."""
    try:
        Claim.take(run_dir)
    except TakenError as taken:
        tell.send(str(taken.owner.pid))
    else:
        tell.send("mine")
        time.sleep(600)


def somebody(run_dir: Path) -> tuple[Any, str]:
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=hold, args=(run_dir, theirs))
    process.start()
    return process, ours.recv()


def test_a_living_process_keeps_its_run(tmp_path: Path) -> None:
    process, told = somebody(tmp_path)
    assert told == "mine"
    with pytest.raises(TakenError) as taken:
        Claim.take(tmp_path)
    assert taken.value.owner.pid == process.pid
    state = state_of(tmp_path)
    assert state is not None
    assert state.status == "running"
    process.kill()
    process.join()


def test_a_killed_process_loses_its_run_at_once(tmp_path: Path) -> None:
    process, _ = somebody(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    state = state_of(tmp_path)
    assert state is not None
    assert (state.status, state.reason) == ("failed", DIED)
    ours = Claim.take(tmp_path)
    assert ours.directory.name == "2"
    ours.release(status="finished")
    assert json.loads((tmp_path / "attempts" / "2" / "end.json").read_text()) == {
        "status": "finished"
    }


def test_a_run_that_was_given_back_is_free(tmp_path: Path) -> None:
    Claim.take(tmp_path).release(status="failed", reason="x")
    process, told = somebody(tmp_path)
    assert told == "mine"
    process.kill()
    process.join()


def test_of_many_at_once_one_gets_the_run(tmp_path: Path) -> None:
    process, _ = somebody(tmp_path)  # and a dead claim is in the way
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    ours, theirs = FORK.Pipe(duplex=False)
    crowd = [FORK.Process(target=hold, args=(tmp_path, theirs)) for _ in range(8)]
    for one in crowd:
        one.start()
    told = [ours.recv() for _ in crowd]
    assert told.count("mine") == 1
    latest = latest_attempt(tmp_path)
    assert latest is not None
    assert latest.number == 2
    assert latest.owner is not None
    assert {answer for answer in told if answer != "mine"} == {str(latest.owner.pid)}
    for one in crowd:
        one.kill()
        one.join()


def elsewhere(run_dir: Path, age: float, **owner: Any) -> Attempt:
    """An attempt by a process of another machine, last heard of ``age`` seconds ago."""
    claim = Claim.take(run_dir)
    other = replace(Owner.here(), host="node7", machine="node7 boot", **owner)
    (claim.directory / claims.CLAIM).write_text(json.dumps(asdict(other)))
    claim._over.set()
    os.close(claim._lock)
    heard = time.time() - age
    os.utime(claim.directory / claims.HEARTBEAT, (heard, heard))
    return Attempt(claim.directory)


def test_another_machine_is_believed_by_its_heartbeat(tmp_path: Path) -> None:
    attempt = elsewhere(tmp_path, age=claims.STALE - 30)
    assert attempt.alive()
    with pytest.raises(TakenError, match="node7"):
        Claim.take(tmp_path)
    os.utime(attempt.directory / claims.HEARTBEAT, (1, 1))
    assert not attempt.alive()
    os.utime(attempt.directory / claims.HEARTBEAT)
    (attempt.directory / claims.END).write_text("{}")
    assert not attempt.alive(), "it has said that it ended"
    assert Claim.take(tmp_path).directory.name == "2"


def test_a_requeued_job_goes_on_with_its_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = elsewhere(tmp_path, age=1, job="77", restarts=0)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert attempt.alive(), "a first start is no restart"
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert not attempt.alive()
    monkeypatch.setenv("SLURM_JOB_ID", "78")
    assert attempt.alive(), "another job's restart proves nothing"


def test_the_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.05)
    claim = Claim.take(tmp_path)
    os.utime(claim.directory / claims.HEARTBEAT, (1, 1))
    deadline = time.monotonic() + 10
    while Attempt(claim.directory).age > 60 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert Attempt(claim.directory).age < 60
    claim.release(status="finished")


def test_who_has_lost_a_run_may_not_write(tmp_path: Path) -> None:
    claim = Claim.take(tmp_path)
    claim.require()
    (tmp_path / "attempts" / "2").mkdir()
    with pytest.raises(StorageError, match="taken over"):
        claim.require()
    with pytest.raises(StorageError, match="deleted"):
        still_ours(tmp_path / "gone" / "attempts" / "1")
