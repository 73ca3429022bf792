"""One run: check, name, claim, record, train, record."""

import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ir_lightning.errors import UsageError
from ir_lightning.files import atomic_write
from ir_lightning.launch import ranks
from ir_lightning.launch.attempt import Record, console, record_run, show
from ir_lightning.launch.preflight import check, resolve
from ir_lightning.launch.pretraining import FirstRun
from ir_lightning.launch.signals import Signals
from ir_lightning.runs.claim import Claim, TakenError, still_ours
from ir_lightning.runs.identity import directory_of, training_hash
from ir_lightning.runs.record import reset_run
from ir_lightning.runs.state import State, has_failed, state_of

POLL = 2.0  # seconds


def run(
    config: DictConfig, overrides: list[str], in_sweep: bool = False, retry: bool = False
) -> Record:
    """Do what a composed configuration says, unless it is done already.

    Args:
        config: as composed by Hydra from conf/train.yaml.
        overrides: the command line's overrides; they name the run's directory.
        in_sweep: train in a process of its own, and leave alone what the sweep has failed at, or
            what another process is at.
        retry: train it even if the sweep has failed at it.

    Returns:
        The result record, as in ``result.json``.

    Raises:
        UsageError: before anything is written, when the request cannot work.
        RunError: it failed under way, which is recorded in ``result.json``.
        Stopped: a signal asked for it; the same command continues.
    """
    config, notices, images, first = check(config, overrides)
    config_hash = training_hash(config)
    run_dir = directory_of(config, overrides, config_hash)
    if ranks.rank() > 0:
        return _follow(resolve(config), run_dir, config_hash)
    for notice in notices:
        console.print(notice)
    known = state_of(run_dir)
    found = known.record.get("config_hash", config_hash) if known else config_hash
    if found != config_hash and not config.rerun:
        raise UsageError(
            f"run_dir={run_dir} holds a run of another configuration ({found}, not "
            f"{config_hash}): choose another run_dir, or rerun=true to replace it."
        )
    again = config.rerun and not in_sweep  # a sweep has put such runs back into its queue
    if known and known.status == "finished" and not again:
        console.print(f"Finished already (rerun=true trains it again): {run_dir}", soft_wrap=True)
        if not in_sweep:
            show(known.record, run_dir)
        return known.record
    if in_sweep and not retry and known and _left_alone(known, config.sweep.fail_fast):
        return known.record
    if not in_sweep:  # a sweep has done so for all its runs
        from ir_lightning.training.trial import refuse_unbuildable

        refuse_unbuildable(resolve(config))
    try:
        claim = Claim.take(run_dir)
    except TakenError as taken:
        if in_sweep:
            console.print(f"Left to {taken}, which trains it: {run_dir}", soft_wrap=True)
            return known.record if known else {}
        raise UsageError(
            f"{run_dir} is being trained by {taken}: wait for it, or stop it first."
        ) from None
    except OSError as error:
        raise UsageError(f"run_dir={run_dir} cannot be written: {error.strerror}.") from None
    state = state_of(run_dir)
    if state and state.record.get("status") == "finished" and not again:  # a moment ago
        claim.release(status="finished")
        return state.record
    if again:
        reset_run(run_dir)
    queued = state.record if state else {}
    before = partial(train_first, first, in_sweep) if first else None
    return record_run(
        resolve(config), overrides, config_hash, run_dir, images, claim, queued, in_sweep, before
    )


def train_first(first: FirstRun, in_sweep: bool) -> None:
    """Train the run that another one begins with; wait for it where somebody else trains it."""
    while run(first.config, first.overrides, in_sweep, retry=True).get("status") != "finished":
        time.sleep(POLL)


def _left_alone(known: State, fail_fast: bool) -> bool:
    """Whether a sweep does not train a run: it has failed at it, or stops at any failure."""
    record = known.record
    others = fail_fast and "sweep" in record and has_failed(known.run_dir.parent, record["sweep"])
    return record.get("status") == "failed" or others


def _follow(plain: dict[str, Any], run_dir: Path, config_hash: str) -> Record:
    """Train as one of several processes; the first one claims and records."""
    attempt = ranks.wait_for_claim(run_dir)
    if attempt is None:
        return {}
    ranks.end_with_parent()
    from ir_lightning.training.loop import train

    try:
        with Signals() as signals:
            return train(plain, run_dir, config_hash, lambda: still_ours(attempt), signals)
    except Exception:
        with atomic_write(attempt / f"rank{ranks.rank()}.log") as file:
            file.write(traceback.format_exc())
        raise
