"""One attempt at a run: train, with a record of the start and of whatever end it takes."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from ir_lightning.errors import RunError, Stopped, StorageError, UsageError
from ir_lightning.files import atomic_write, remove_temporaries
from ir_lightning.launch.child import Guard, Watch, Work, work_in_child
from ir_lightning.launch.signals import Signals
from ir_lightning.runs import ranks
from ir_lightning.runs.claim import Claim
from ir_lightning.runs.identity import VERSION, evaluation_hash
from ir_lightning.runs.record import (
    FAILURE,
    LOG,
    gained,
    metric_label,
    metrics_of,
    provenance,
    score_text,
    write_result,
    write_splits,
)

console = Console(highlight=False)

Record = dict[str, Any]


def claim_on(run_dir: Path) -> Claim:
    """The claim on a run.

    Raises:
        TakenError: a living process holds it.
        UsageError: the directory cannot be written.
    """
    try:
        return Claim.take(run_dir)
    except OSError as error:
        raise UsageError(f"run_dir={run_dir} cannot be written: {error.strerror}.") from None


@dataclass(frozen=True)
class TrainingJob:
    """A run that is to be trained.

    Attributes:
        plain: its resolved configuration.
        overrides: the command line's.
        config_hash: of the configuration.
        run_dir: its directory.
        images: the names of every split's images.
        before: trains the run that this one begins with.
    """

    plain: dict[str, Any]
    overrides: list[str]
    config_hash: str
    run_dir: Path
    images: dict[str, list[str]]
    before: Callable[[], None] | None = None


def record_run(job: TrainingJob, claim: Claim, known: Record, in_sweep: bool) -> Record:
    """Train, with a record on disk of the start and of whatever end it takes.

    Args:
        job: what is trained.
        claim: on the run; it is given back at the end.
        known: what the record held so far.
        in_sweep: train in a process of its own.
    """
    plain, run_dir = job.plain, job.run_dir
    begun: Record = {
        "status": "running",
        "config_hash": job.config_hash,
        "identity_version": VERSION,
        "evaluation": evaluation_hash(plain),
        "overrides": job.overrides,
        "seed": plain["data"]["seed"],
        "dataset": plain["dataset"]["name"],
        "budget": plain["budget"]["name"],
        "attempt": int(claim.directory.name),
        **{key: known[key] for key in ("sweep", "label") if key in known},
        **provenance(),
    }

    def train() -> Record:
        remove_temporaries(run_dir)
        with atomic_write(run_dir / "config.yaml") as file:
            file.write(OmegaConf.to_yaml(OmegaConf.create(plain)))
        begun["splits"] = write_splits(run_dir, job.images)
        write_result(run_dir, begun)
        console.print(f"Run directory: {run_dir}", soft_wrap=True)
        if job.before is not None:
            job.before()
        if not in_sweep:
            ranks.announce_claim(claim.directory)
        watch = Watch(console, run_dir, plain["budget"]["iterations"]) if in_sweep else None
        watched = {n: c for n, c in plain["callbacks"].items() if n != "progress" or not in_sweep}
        config = {**plain, "callbacks": watched}  # nobody looks at a bar in a file
        return perform(partial(fit, config, run_dir, job.config_hash), claim, watch)

    def write(end: Record) -> None:
        write_result(run_dir, begun | end)

    end = carry_out(train, claim, run_dir, write, begun.get("label"))
    show_end(begun | end, run_dir, in_sweep)
    return begun | end


def carry_out(
    work: Callable[[], Record],
    claim: Claim,
    run_dir: Path,
    write: Callable[[Record], None],
    label: str | None = None,
) -> Record:
    """Work on a run that this process has claimed, and record whatever end that takes.

    Args:
        work: returns what it has measured.
        claim: on the run; it is given back at the end.
        run_dir: the run's directory.
        write: records the end.
        label: of the run in its sweep, for messages.

    Returns:
        The end: ``status``, ``seconds``, and what was measured.
    """
    end: Record = {"status": "failed", "reason": "it could not be begun"}
    stopped: Stopped | None = None
    start = time.monotonic()
    try:
        measured = work()
        end = {"status": "finished", "seconds": round(time.monotonic() - start, 1), **measured}
        claim.require()
        write(end)
    except BaseException as error:
        stopped = error if isinstance(error, Stopped) else None
        named = _named(error, run_dir)
        end = _end_of(named, claim.directory)
        try:
            claim.require()
            write(end)
        except (OSError, StorageError) as unwritten:
            console.print(f"This end could not be recorded: {_named(unwritten, run_dir)}")
        if label and isinstance(named, UsageError | RunError):
            named.args = (f"{label}: {named}",)  # which run of the sweep it was
        if named is error:
            raise
        raise named from error
    finally:
        claim.release(**{key: end[key] for key in ("status", "reason") if key in end})
        if stopped is not None:
            stopped.answer()  # last: a scheduler that gets its node back kills what is there
    return end


def fit(
    plain: dict[str, Any], run_dir: Path, config_hash: str, guard: Guard, signals: Signals
) -> Record:
    """See :func:`ir_lightning.training.loop.train`, which takes seconds to import."""
    from ir_lightning.training.loop import train

    return train(plain, run_dir, config_hash, guard, signals)


def perform(work: Work, claim: Claim, watch: Watch | None) -> Record:
    """Do what needs torch, here or in a child process.

    Args:
        work: is called with a guard, which raises when the run must not be written to any more, and
            with the signals that come meanwhile.
        claim: on the run.
        watch: looks after the child process; None: do it here.
    """
    if watch is not None:
        with watch:
            return work_in_child(work, claim.directory, watch)
    with Signals() as signals:
        try:
            return work(claim.require, signals)
        except Stopped as stop:
            stop.answer = signals.answer_scheduler
            raise


def _named(error: BaseException, run_dir: Path) -> BaseException:
    """The same error, or one that says in a sentence what the disk did not allow."""
    if isinstance(error, OSError) and error.errno is not None and not run_dir.exists():
        return StorageError(f"{run_dir} was deleted while the run was under way.")
    if isinstance(error, OSError) and error.errno is not None:
        return StorageError(
            f"{error.filename or run_dir} cannot be written: {error.strerror}. When that is "
            "mended, the same command goes on from the last checkpoint."
        )
    return error


def _end_of(error: BaseException, attempt: Path) -> Record:
    """How a run that did not finish is recorded; a bug's traceback goes to ``failure.log``."""
    if isinstance(error, Stopped):
        return {"status": "queued", "reason": str(error)}
    if isinstance(error, KeyboardInterrupt):
        return {"status": "queued", "reason": "interrupted"}
    if not isinstance(error, UsageError | RunError):
        try:
            with atomic_write(attempt / FAILURE) as file:
                file.write(traceback.format_exc())
        except OSError:
            pass  # the reason has to do
    log = next((str(attempt / name) for name in (FAILURE, LOG) if (attempt / name).exists()), None)
    told = isinstance(error, UsageError | RunError)
    reason = str(error) if told else f"{type(error).__name__}: {error}"
    return {"status": "failed", "reason": reason, "log": log}


def _headline(end: Record) -> str:
    """The gain by the first metric or, where nothing can be gained, its score."""
    name, score = next(iter(end["restored"].items()))
    unit, gain = metrics_of(end)[name]["unit"], gained(end)
    text = score_text(score, unit) if gain is None else score_text(gain, unit, "+")
    return " ".join((text, unit or metric_label(name, unit)))


def show_end(result: Record, folder: Path, in_sweep: bool) -> None:
    """Print a line about a finished run of a sweep, or its table."""
    if in_sweep:
        console.print(f"Finished in {result['seconds']} s: {_headline(result)}", soft_wrap=True)
    else:
        show(result, folder)


def show(result: Record, run_dir: Path) -> None:
    """The final table: degraded, restored, gain, by every protocol and metric."""
    table = Table(title=f"{result['dataset']}: mean over {result['images']} test images")
    table.add_column("protocol")
    table.add_column("")
    units = {name: about["unit"] for name, about in metrics_of(result).items()}
    for name, unit in units.items():
        table.add_column(metric_label(name, unit), justify="right")
    for protocol, scores in result["scores"].items():
        for kind in ("degraded", "restored"):
            cells = [score_text(scores[kind].get(name), unit) for name, unit in units.items()]
            table.add_row(protocol, kind, *cells)
        both = [name for name in scores["degraded"] if name in scores["restored"]]
        gains = {name: gained(scores, name) for name in both}
        if None not in gains.values():  # else the images are only to be copied
            cells = [score_text(gains.get(name), unit, "+") for name, unit in units.items()]
            table.add_row(protocol, "gain", *cells)
        table.add_section()
    console.print(table)
    console.print(f"Pictures and scores: {run_dir}", soft_wrap=True)
