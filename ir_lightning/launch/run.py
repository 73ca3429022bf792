"""One run: check, name, claim, record, train or evaluate, record."""

import time
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ir_lightning.errors import UsageError
from ir_lightning.files import atomic_write
from ir_lightning.launch.attempt import (
    Record,
    TrainingJob,
    carry_out,
    claim_on,
    console,
    perform,
    record_run,
    show,
    show_end,
    write_config,
)
from ir_lightning.launch.child import Guard, Signals
from ir_lightning.launch.evaluate import of_evaluation
from ir_lightning.launch.preflight import check, resolve
from ir_lightning.launch.pretraining import FirstRun
from ir_lightning.runs import claim as claims
from ir_lightning.runs import record as records
from ir_lightning.runs.claim import Claim, TakenError, still_ours
from ir_lightning.runs.identity import directory_of, evaluation_hash, training_hash
from ir_lightning.runs.state import has_failed, state_of

POLL = 2.0  # seconds
TRAINED = (
    *("config_hash", "identity_version", "seed", "budget", "iterations", "parameters", "speed"),
    *("multiply_adds", "d_saturated_at", "best_validation", "sweep", "label"),
)
"""What the record of an evaluation repeats of its run's."""


def run(
    config: DictConfig, overrides: list[str], in_sweep: bool = False, retry: bool = False
) -> Record:
    """Do what a composed configuration says, unless it is done already; return its record.

    ``in_sweep``: in a process of its own, but not what failed (unless ``retry``) or is under way.

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
    if claims.rank() > 0:
        return {} if finished else _follow(plain, run_dir, config_hash)
    for notice in ready.notices:
        console.print(notice)
    there = known.record.get("config_hash", config_hash) if known else config_hash
    if there != config_hash and not config.rerun:
        raise UsageError(
            f"run_dir={run_dir} holds a run of another configuration ({there}, not "
            f"{config_hash}): choose another run_dir, or rerun=true to replace it."
        )
    folder = records.evaluation_folder(run_dir, evaluation_hash(plain))
    if in_sweep and not retry and _left_alone(run_dir, folder, config.sweep.fail_fast):
        return records.read_result(folder)
    if finished and folder == run_dir:
        return _show_again(run_dir, in_sweep)
    if finished:
        about = ", ".join(of_evaluation(overrides)) or "the default settings"
        console.print(f"Trained already; evaluating with {about}: {run_dir}", soft_wrap=True)
        return evaluate(plain, run_dir, overrides, ready.images["test"], in_sweep)
    if not in_sweep:  # a sweep has done so for all its runs
        from ir_lightning.training.loop import refuse_unbuildable  # only Lightning can judge

        refuse_unbuildable(plain)
    try:
        claim = claim_on(run_dir)
    except TakenError as taken:
        _leave_to(taken, run_dir, in_sweep)
        if folder == run_dir:
            return records.read_result(run_dir)
        while (state := state_of(run_dir)) is not None and state.status == "running":
            time.sleep(POLL)  # what is wanted is another evaluation of it
        return run(config, overrides, in_sweep, retry)
    record = records.read_result(run_dir)
    if record.get("status") == "finished" and not restart:  # a moment ago
        claim.release(status="finished")
        return run(config, overrides, in_sweep, retry)
    if restart:
        records.reset_run(run_dir)
    before = partial(train_first, ready.first, in_sweep) if ready.first else None
    job = TrainingJob(plain, overrides, config_hash, run_dir, ready.images, before)
    return record_run(job, claim, record, in_sweep)


def _show_again(run_dir: Path, in_sweep: bool) -> Record:
    console.print(f"Finished already (rerun=true trains it again): {run_dir}", soft_wrap=True)
    record = records.read_result(run_dir)
    if not in_sweep:
        show(record, run_dir)
    return record


def _leave_to(taken: TakenError, run_dir: Path, in_sweep: bool) -> None:
    """Say who trains the run; a sweep goes on with its others."""
    if not in_sweep:
        raise UsageError(
            f"{run_dir} is being trained by {taken}: wait for it, or stop it first."
        ) from None
    console.print(f"Left to {taken}, which trains it: {run_dir}", soft_wrap=True)


def train_first(first: FirstRun, in_sweep: bool) -> None:
    """Train the run that another one begins with; wait for it where somebody else trains it."""
    while run(first.config, first.overrides, in_sweep, retry=True).get("status") != "finished":
        time.sleep(POLL)


def _left_alone(run_dir: Path, folder: Path, fail_fast: bool) -> bool:
    """Whether a sweep passes a run by: it has failed at it, or stops at any failure."""
    record = records.read_result(folder)
    others = fail_fast and "sweep" in record and has_failed(run_dir.parent, record["sweep"])
    return record.get("status") == "failed" or others


def _follow(plain: dict[str, Any], run_dir: Path, config_hash: str) -> Record:
    """Train as one of several processes; the first one claims and records."""
    attempt = claims.wait_for_claim(run_dir)
    if attempt is None:
        return {}
    claims.end_with_parent()
    from ir_lightning.training.loop import train

    try:
        with Signals() as signals:
            return train(plain, run_dir, config_hash, lambda: still_ours(attempt), signals)
    except Exception:
        with atomic_write(attempt / f"rank{claims.rank()}.log") as file:
            file.write(traceback.format_exc())
        raise


def evaluate(
    plain: dict[str, Any],
    run_dir: Path,
    overrides: Sequence[str],
    test_images: Sequence[str],
    in_sweep: bool = False,
) -> Record:
    """Score a finished run as its configuration now says, unless that has been done.

    ``in_sweep``: in a process of its own, and after any other process at the run.

    Raises:
        UsageError: another process is at the run, or it lacks what is to be tested.
        RunError: it failed under way.
        Stopped: a signal came; the same command begins the evaluation anew.
    """
    evaluation = evaluation_hash(plain)
    folder = records.evaluation_folder(run_dir, evaluation)
    known = records.read_result(folder)
    if known.get("status") != "finished":
        claim = _claim(run_dir, in_sweep)
        trained, known = records.read_result(run_dir), records.read_result(folder)
        if known.get("status") == "finished":  # a moment ago
            claim.release(status="finished")
    if known.get("status") == "finished":
        console.print(f"Evaluated already: {folder}", soft_wrap=True)
        if not in_sweep:
            show(known, folder)
        return known
    begun: Record = {
        **{key: trained[key] for key in TRAINED if key in trained},
        **{key: known[key] for key in ("sweep", "label") if key in known},
        "attempt": int(claim.directory.name),
        **records.provenance(),
        "evaluation": evaluation,
        "overrides": list(overrides),
        "dataset": plain["dataset"]["name"],
    }

    def score() -> Record:
        write_config(run_dir, folder / "evaluation.yaml", plain)
        begun["splits"] = trained.get("splits", {}) | records.write_splits(
            folder, {"test": list(test_images)}
        )
        work = partial(_score, plain, run_dir, folder)
        return perform(work, claim, in_sweep, trained.get("iterations", 0))

    def write(record: Record) -> None:
        if record["status"] == "finished":
            records.add_evaluation(run_dir, evaluation, record)
        else:
            records.write_result(folder, record)

    record = carry_out(score, claim, begun, write)
    show_end(record, folder, in_sweep)
    return record


def _score(
    plain: dict[str, Any], run_dir: Path, folder: Path, guard: Guard, signals: Signals
) -> Record:
    """See :func:`ir_lightning.training.loop.evaluate`, which takes seconds to import."""
    from ir_lightning.training.loop import evaluate

    return evaluate(plain, run_dir, folder, guard, signals)


def _claim(run_dir: Path, wait: bool) -> Claim:
    """The claim on a finished run; UsageError where it cannot be had, or was begun anew."""
    while True:
        try:
            claim = claim_on(run_dir)
            break
        except TakenError as taken:
            if not wait:
                raise UsageError(
                    f"{taken} is at {run_dir}: wait for it, or stop it first."
                ) from None
            time.sleep(POLL)
    if records.read_result(run_dir).get("status") != "finished":
        claim.release(status="queued")
        raise UsageError(f"{run_dir} has been begun anew; it is evaluated when it has finished.")
    return claim
