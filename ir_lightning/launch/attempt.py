"""One attempt at a run: train, with a record of the start and of whatever end it takes."""

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from ir_lightning.errors import RunError, Stopped, StorageError, UsageError
from ir_lightning.files import atomic_write, remove_temporaries
from ir_lightning.launch.child import Guard, Signals, Work, watched, work_in_child
from ir_lightning.launch.pretraining import iterations_before
from ir_lightning.runs import record as records
from ir_lightning.runs.claim import Claim, announce_claim
from ir_lightning.runs.identity import VERSION, evaluation_hash

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
    """A run that is to be trained, by its resolved configuration."""

    plain: dict[str, Any]
    overrides: list[str]
    config_hash: str
    run_dir: Path
    images: dict[str, list[str]]
    """The names of every split's."""
    before: Callable[[], None] | None = None
    """Trains the run that this one begins with."""


def record_run(job: TrainingJob, claim: Claim, known: Record, in_sweep: bool) -> Record:
    """Train, with a record on disk of the start and of whatever end; ``known`` is the last one."""
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
        **records.provenance(),
    }

    def train() -> Record:
        write_config(run_dir, run_dir / "config.yaml", plain)
        begun["splits"] = records.write_splits(run_dir, job.images)
        records.write_result(run_dir, begun)
        console.print(f"Run directory: {run_dir}", soft_wrap=True)
        if job.before is not None:
            job.before()
        if before := iterations_before(plain):
            begun["pretrained"] = before
        if not in_sweep:
            announce_claim(claim.directory)
        seen = {n: c for n, c in plain["callbacks"].items() if n != "progress" or not in_sweep}
        config = {**plain, "callbacks": seen}  # nobody looks at a bar in a file
        work = partial(fit, config, run_dir, job.config_hash)
        return perform(work, claim, in_sweep, plain["budget"]["iterations"])

    record = carry_out(train, claim, begun, lambda record: records.write_result(run_dir, record))
    show_end(record, run_dir, in_sweep)
    return record


def write_config(run_dir: Path, path: Path, plain: dict[str, Any]) -> None:
    """Begin to write into a run's directory: tidy up, and write a resolved configuration."""
    remove_temporaries(run_dir)
    with atomic_write(path) as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(plain)))


def carry_out(
    work: Callable[[], Record], claim: Claim, begun: Record, write: Callable[[Record], None]
) -> Record:
    """Work on a claimed run, return its record with whatever end that took, give the claim back.

    ``work`` returns what it has measured, and may add to ``begun``, the record at the start. Its
    ``label``, if any, names the run in messages.
    """
    run_dir = claim.directory.parents[1]
    end: Record = {"status": "failed", "reason": "it could not be begun"}
    stopped: Stopped | None = None
    start = time.monotonic()
    try:
        measured = work()
        end = {"status": "finished", "seconds": round(time.monotonic() - start, 1), **measured}
        claim.require()
        write(begun | end)
    except BaseException as error:
        stopped = error if isinstance(error, Stopped) else None
        named = _named(error, run_dir)
        end = _end_of(named, claim.directory)
        try:
            claim.require()
            write(begun | end)
        except (OSError, StorageError) as unwritten:
            console.print(f"This end could not be recorded: {_named(unwritten, run_dir)}")
        if (label := begun.get("label")) and isinstance(named, UsageError | RunError):
            named.args = (f"{label}: {named}",)  # which run of the sweep it was
        if named is error:
            raise
        raise named from error
    finally:
        claim.release(**{key: end[key] for key in ("status", "reason") if key in end})
        if stopped is not None:
            stopped.answer()  # last: a scheduler that gets its node back kills what is there
    return begun | end


def fit(
    plain: dict[str, Any], run_dir: Path, config_hash: str, guard: Guard, signals: Signals
) -> Record:
    """See :func:`ir_lightning.training.loop.train`, which takes seconds to import."""
    from ir_lightning.training.loop import train

    return train(plain, run_dir, config_hash, guard, signals)


def perform(work: Work, claim: Claim, in_sweep: bool, iterations: int) -> Record:
    """Do what needs torch: here or, in a sweep, in a child process.

    ``work`` is called with a guard, which raises when the run must not be written to any more, and
    with the signals that come meanwhile.
    """
    if in_sweep:
        with watched(console, claim.directory.parents[1], iterations) as watch:
            return work_in_child(work, claim.directory, watch)
    with Signals() as signals:
        try:
            return work(claim.require, signals)
        except Stopped as stop:
            stop.answer = signals.answer_scheduler
            raise


def _named(error: BaseException, run_dir: Path) -> BaseException:
    """The same error, or one that says in a sentence what the disk did not allow."""
    if not isinstance(error, OSError) or error.errno is None:
        return error
    if not run_dir.exists():
        return StorageError(f"{run_dir} was deleted while the run was under way.")
    return StorageError(
        f"{error.filename or run_dir} cannot be written: {error.strerror}. When that is "
        "mended, the same command goes on from the last checkpoint."
    )


def _end_of(error: BaseException, attempt: Path) -> Record:
    """How a run that did not finish is recorded; a bug's traceback goes to ``failure.log``."""
    if isinstance(error, Stopped | KeyboardInterrupt):
        interrupted = isinstance(error, KeyboardInterrupt)
        return {"status": "queued", "reason": "interrupted" if interrupted else str(error)}
    reason = str(error)
    if not isinstance(error, UsageError | RunError):
        reason = f"{type(error).__name__}: {error}"
        with suppress(OSError), atomic_write(attempt / records.FAILURE) as file:
            file.write(traceback.format_exc())
    logs = (attempt / records.FAILURE, attempt / records.LOG)
    log = next((str(path) for path in logs if path.exists()), None)
    return {"status": "failed", "reason": reason, "log": log}


def show_end(result: Record, folder: Path, in_sweep: bool) -> None:
    """Print a line about a finished run of a sweep, or its table."""
    if not in_sweep:
        show(result, folder)
        return
    # The gain by the first metric or, where nothing can be gained, its score.
    name, score = next(iter(result["restored"].items()))
    unit, gain = records.metrics_of(result)[name]["unit"], records.gained(result)
    text = records.score_text(score, unit) if gain is None else records.score_text(gain, unit, "+")
    headline = f"{text} {unit or records.metric_label(name, unit)}"
    console.print(f"Finished in {result['seconds']} s: {headline}", soft_wrap=True)


def show(result: Record, run_dir: Path) -> None:
    """The final table: degraded, restored, gain, by every protocol and metric."""
    units = {name: about["unit"] for name, about in records.metrics_of(result).items()}
    title = f"{result['dataset']}: mean over {result['images']} test images"
    table = Table("protocol", "", title=title)
    for name, unit in units.items():
        table.add_column(records.metric_label(name, unit), justify="right")
    for protocol, scores in result["scores"].items():
        rows = {kind: (scores[kind], "") for kind in ("degraded", "restored")}
        gains = {
            n: records.gained(scores, n) for n in scores["degraded"] if n in scores["restored"]
        }
        if None not in gains.values():  # else the images are only to be copied
            rows["gain"] = (gains, "+")
        for kind, (values, sign) in rows.items():
            cells = [
                records.score_text(values.get(name), unit, sign) for name, unit in units.items()
            ]
            table.add_row(protocol, kind, *cells)
        table.add_section()
    console.print(table)
    console.print(f"Pictures and scores: {run_dir}", soft_wrap=True)
