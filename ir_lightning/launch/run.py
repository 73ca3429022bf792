"""One run: check, name, claim, record, train, record."""

import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ir_lightning.errors import UsageError
from ir_lightning.files import atomic_write
from ir_lightning.launch.attempt import Record, TrainingJob, claim_on, console, record_run, show
from ir_lightning.launch.evaluate import evaluate, of_evaluation
from ir_lightning.launch.preflight import check, resolve
from ir_lightning.launch.pretraining import FirstRun
from ir_lightning.launch.signals import Signals
from ir_lightning.runs import ranks
from ir_lightning.runs.claim import TakenError, still_ours
from ir_lightning.runs.evaluations import evaluation_folder
from ir_lightning.runs.identity import directory_of, evaluation_hash, training_hash
from ir_lightning.runs.record import read_result, reset_run
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
    ready = check(config, overrides)
    config, plain = ready.config, resolve(ready.config)
    config_hash = training_hash(config)
    run_dir = directory_of(config, overrides, config_hash)
    known = state_of(run_dir)
    restart = config.rerun and not in_sweep  # a sweep has put such runs back into its queue
    finished = known is not None and known.status == "finished" and not restart
    if ranks.rank() > 0:
        return {} if finished else _follow(plain, run_dir, config_hash)
    for notice in ready.notices:
        console.print(notice)
    _refuse_another_run(known, config_hash, config.rerun)
    folder = evaluation_folder(run_dir, evaluation_hash(plain))
    if in_sweep and not retry and _left_alone(run_dir, folder, config.sweep.fail_fast):
        return read_result(folder)
    if finished and folder == run_dir:
        return _show_again(run_dir, in_sweep)
    if finished:
        about = ", ".join(of_evaluation(overrides)) or "the default settings"
        console.print(f"Trained already; evaluating with {about}: {run_dir}", soft_wrap=True)
        return evaluate(plain, run_dir, overrides, ready.images["test"], in_sweep)
    if not in_sweep:  # a sweep has done so for all its runs
        _try_to_build(plain)
    try:
        claim = claim_on(run_dir)
    except TakenError as taken:
        _leave_to(taken, run_dir, in_sweep)
        if folder == run_dir:
            return read_result(run_dir)
        _wait_for(run_dir)  # what is wanted is another evaluation of it
        return run(config, overrides, in_sweep, retry)
    record = read_result(run_dir)
    if record.get("status") == "finished" and not restart:  # a moment ago
        claim.release(status="finished")
        return run(config, overrides, in_sweep, retry)
    if restart:
        reset_run(run_dir)
    before = partial(train_first, ready.first, in_sweep) if ready.first else None
    job = TrainingJob(plain, overrides, config_hash, run_dir, ready.images, before)
    return record_run(job, claim, record, in_sweep)


def _leave_to(taken: TakenError, run_dir: Path, in_sweep: bool) -> None:
    """Say who trains the run; a sweep goes on with its others."""
    if not in_sweep:
        raise UsageError(
            f"{run_dir} is being trained by {taken}: wait for it, or stop it first."
        ) from None
    console.print(f"Left to {taken}, which trains it: {run_dir}", soft_wrap=True)


def _show_again(run_dir: Path, in_sweep: bool) -> Record:
    """Show a finished run."""
    console.print(f"Finished already (rerun=true trains it again): {run_dir}", soft_wrap=True)
    record = read_result(run_dir)
    if not in_sweep:
        show(record, run_dir)
    return record


def _try_to_build(plain: dict[str, Any]) -> None:
    """Refuse what only Lightning can judge; it takes seconds to import."""
    from ir_lightning.training.loop import refuse_unbuildable

    refuse_unbuildable(plain)


def _refuse_another_run(known: State | None, config_hash: str, rerun: bool) -> None:
    found = known.record.get("config_hash", config_hash) if known else config_hash
    if known and found != config_hash and not rerun:
        raise UsageError(
            f"run_dir={known.run_dir} holds a run of another configuration ({found}, not "
            f"{config_hash}): choose another run_dir, or rerun=true to replace it."
        )


def train_first(first: FirstRun, in_sweep: bool) -> None:
    """Train the run that another one begins with; wait for it where somebody else trains it."""
    while run(first.config, first.overrides, in_sweep, retry=True).get("status") != "finished":
        time.sleep(POLL)


def _wait_for(run_dir: Path) -> None:
    """Return when nobody is at a run any more."""
    while (state := state_of(run_dir)) is not None and state.status == "running":
        time.sleep(POLL)


def _left_alone(run_dir: Path, folder: Path, fail_fast: bool) -> bool:
    """Whether a sweep passes an evaluation of a run by: it has failed at it, or stops at any
    failure."""
    record = read_result(folder)
    others = fail_fast and "sweep" in record and has_failed(run_dir.parent, record["sweep"])
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
