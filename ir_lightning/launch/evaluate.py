"""Score a trained run in another way: other protocols, metrics or test images, whole or cut."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ir_lightning.errors import UsageError
from ir_lightning.files import atomic_write, remove_temporaries
from ir_lightning.launch.attempt import (
    Record,
    carry_out,
    claim_on,
    console,
    perform,
    show,
    show_end,
)
from ir_lightning.launch.child import Guard, Watch
from ir_lightning.launch.signals import Signals
from ir_lightning.runs.claim import Claim, TakenError
from ir_lightning.runs.evaluations import add_evaluation, evaluation_folder
from ir_lightning.runs.identity import evaluation_hash
from ir_lightning.runs.record import provenance, read_result, write_result, write_splits

TRAINED = (
    *("config_hash", "identity_version", "seed", "budget", "iterations", "parameters"),
    *("multiply_adds", "d_saturated_at", "best_validation", "sweep", "label"),
)
"""What the record of an evaluation repeats of its run's."""
EVALUATION = "evaluation.yaml"
POLL = 2.0  # seconds


def evaluate(
    plain: dict[str, Any],
    run_dir: Path,
    overrides: Sequence[str],
    test_images: Sequence[str],
    in_sweep: bool = False,
) -> Record:
    """Score a finished run as a configuration says, unless that has been done.

    Args:
        plain: the run's resolved configuration, with the evaluation that is wanted.
        run_dir: its directory.
        overrides: those that the evaluation was made with.
        test_images: the names of the test images.
        in_sweep: score in a process of its own, and wait where another process is at the run.

    Returns:
        The record of the evaluation, as in its ``result.json``.

    Raises:
        UsageError: another process is at the run, or it lacks what is to be tested.
        RunError: it failed under way.
        Stopped: a signal came; the same command begins the evaluation anew.
    """
    evaluation = evaluation_hash(plain)
    folder = evaluation_folder(run_dir, evaluation)
    known = read_result(folder)
    if known.get("status") != "finished":
        claim = _claim(run_dir, in_sweep)
        run, known = read_result(run_dir), read_result(folder)
        if known.get("status") == "finished":  # a moment ago
            claim.release(status="finished")
    if known.get("status") == "finished":
        console.print(f"Evaluated already: {folder}", soft_wrap=True)
        if not in_sweep:
            show(known, folder)
        return known
    begun: Record = {
        **{key: run[key] for key in TRAINED if key in run},
        **{key: known[key] for key in ("sweep", "label") if key in known},
        "evaluation": evaluation,
        "overrides": list(overrides),
        "dataset": plain["dataset"]["name"],
        "attempt": int(claim.directory.name),
        **provenance(),
    }

    def score() -> Record:
        remove_temporaries(run_dir)
        with atomic_write(folder / EVALUATION) as file:
            file.write(OmegaConf.to_yaml(OmegaConf.create(plain)))
        begun["splits"] = run.get("splits", {}) | write_splits(folder, {"test": list(test_images)})
        watch = Watch(console, run_dir, run.get("iterations", 0)) if in_sweep else None
        return perform(partial(_score, plain, run_dir, folder), claim, watch)

    def write(end: Record) -> None:
        if end["status"] == "finished":
            add_evaluation(run_dir, evaluation, begun | end)
        else:
            write_result(folder, begun | end)

    end = carry_out(score, claim, run_dir, write, begun.get("label"))
    show_end(begun | end, folder, in_sweep)
    return begun | end


def _score(
    plain: dict[str, Any], run_dir: Path, folder: Path, guard: Guard, signals: Signals
) -> Record:
    """See :func:`ir_lightning.training.evaluation.evaluate`, which takes seconds to import."""
    from ir_lightning.training.evaluation import evaluate

    return evaluate(plain, run_dir, folder, guard, signals)


def _claim(run_dir: Path, wait: bool) -> Claim:
    """The claim on a finished run.

    Raises:
        UsageError: another process has it, or the directory cannot be written; or the run has been
            begun anew.
    """
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
    if read_result(run_dir).get("status") != "finished":
        claim.release(status="queued")
        raise UsageError(f"{run_dir} has been begun anew; it is evaluated when it has finished.")
    return claim
