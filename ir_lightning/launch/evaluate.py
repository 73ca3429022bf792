"""Score a trained run in another way: other protocols, metrics or test images, whole or cut."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ir_lightning.build import TRAININGS, build, refuse_untrusted
from ir_lightning.data.cache.store import from_store
from ir_lightning.data.samples import Checked
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
from ir_lightning.launch.config import CONF, load_config
from ir_lightning.launch.error_reporter import MISTAKES, sentence
from ir_lightning.launch.preflight import resolve
from ir_lightning.launch.pretraining import key_of
from ir_lightning.launch.signals import Signals
from ir_lightning.runs.claim import Claim, TakenError
from ir_lightning.runs.evaluations import add_evaluation, evaluation_folder
from ir_lightning.runs.identity import evaluation_hash, rebased
from ir_lightning.runs.legacy import CONFIG, read_config
from ir_lightning.runs.record import provenance, read_result, write_result, write_splits

SCORED = ("evaluation", "metric", "budget.test_images", "budget.evaluation_side")
TESTED = ("clean_dir", "dataset")
WHERE = ("data.workers", "paths.data", "paths.stores", "threads", "trainer.accelerator")
CHOICE = ("evaluation.choose_by", "evaluation.validation_metrics", "evaluation.validation_protocol")
"""What the best weights were chosen by, and what the training curve shows of the validations."""
LINKS = {
    "system.evaluation": "evaluation",
    "data.test": "dataset.test",
    "data.composition": "dataset.composition",
    "data.test_images": "budget.test_images",
    "data.evaluation_side": "budget.evaluation_side",
    "data.stores": "paths.stores",
}
"""What a run is built from, and where conf/train.yaml takes it from."""


def may_be_changed(override: str) -> bool:
    """Whether an override leaves the training alone: it is about scores, or about this machine."""
    key = key_of(override)
    return _lies_in(key, (*SCORED, *TESTED, *WHERE)) and not _lies_in(key, CHOICE)


def of_evaluation(overrides: Sequence[str]) -> list[str]:
    """Those of train.py's overrides that say how a run is scored."""
    return [o for o in overrides if _lies_in(key_of(o), (*SCORED, *TESTED))]


def with_evaluation(
    run_dir: Path, overrides: Sequence[str], trust: Sequence[str] = ()
) -> dict[str, Any]:
    """The configuration of a run, with another evaluation.

    Args:
        run_dir: its directory; ``config.yaml`` in it may come from a stranger.
        overrides: of the evaluation; ``dataset=NAME`` stands for the test images of that data set,
            ``+metric=NAME`` for one more metric.
        trust: packages of which the configuration may name classes.

    Returns:
        Plain values.

    Raises:
        UsageError: the configuration cannot be read or names what is not trusted, or an override
            cannot work, or is about something else than the evaluation.
    """
    plain = read_config(run_dir)
    refuse_untrusted(plain, run_dir / CONFIG, TRAININGS.plus(trust))
    keys = [key_of(override) for override in overrides]
    for key, override in zip(keys, overrides, strict=True):
        if not may_be_changed(override):
            raise UsageError(
                f"{override}: {key} is the training's, and {run_dir} is trained; give evaluation."
                "KEY, +metric, budget.test_images, budget.evaluation_side or dataset, or train "
                "another run."
            )
        if _lies_in(key, TESTED) and "dataset" not in keys:
            raise UsageError(f"{override}: give dataset=NAME with it, the data set to be tested.")
    try:
        composed = load_config(overrides)
    except MISTAKES as error:
        raise UsageError(sentence(error, str(CONF))) from None
    try:
        return _applied(plain, composed, keys)
    except (LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{run_dir / CONFIG}: it is not the configuration of a run ({error!r})."
        ) from error


def _applied(plain: dict[str, Any], composed: DictConfig, keys: Sequence[str]) -> dict[str, Any]:
    """The run's configuration in which these keys are as composed."""
    root = plain["paths"]["data"]
    if "paths.data" in keys and root is not None:
        plain = rebased(plain, str(root), str(composed.paths.data))
    elif root is not None:
        composed.paths.data = root
    wanted = OmegaConf.create(resolve(composed))
    config = OmegaConf.create(plain)
    if "dataset" in keys:
        for part in ("test", "composition", "name"):
            config.dataset[part] = wanted.dataset[part]
    if "metric" in keys:
        config.evaluation.metrics = {**config.evaluation.metrics, **wanted.evaluation.metrics}
    for key in keys:
        if not _lies_in(key, ("metric", *TESTED)):
            OmegaConf.update(config, key, OmegaConf.select(wanted, key), merge=False)
    for place, source in LINKS.items():
        OmegaConf.update(config, place, OmegaConf.select(config, source), merge=False)
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


def test_names(plain: Mapping[str, Any]) -> list[str]:
    """The names of the test images, after a look at all of them.

    Raises:
        UsageError: there are none, or a file cannot be used.
    """
    data = plain["data"]
    source = build(data["test"], "data.test")
    if len(source) == 0:
        raise UsageError("dataset.test has no images.")
    if isinstance(source, Checked):
        source.check()
    from_store(source, data["store"], data["stores"], "test")
    return [source.name(index) for index in range(len(source))]


def _lies_in(key: str, places: Sequence[str]) -> bool:
    """Whether a key is one of these, or below one."""
    return f"{key}.".startswith(tuple(f"{place}." for place in places))


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
    begun = _begun(run, known, claim) | {
        "evaluation": evaluation,
        "overrides": list(overrides),
        "dataset": plain["dataset"]["name"],
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


def _begun(run: Record, known: Record, claim: Claim) -> Record:
    """The record of an evaluation at its start, but for what is its own."""
    return {
        **{key: run[key] for key in TRAINED if key in run},
        **{key: known[key] for key in ("sweep", "label") if key in known},
        "attempt": int(claim.directory.name),
        **provenance(),
    }


def _score(
    plain: dict[str, Any], run_dir: Path, folder: Path, guard: Guard, signals: Signals
) -> Record:
    """See :func:`ir_lightning.training.loop.evaluate`, which takes seconds to import."""
    from ir_lightning.training.loop import evaluate

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
