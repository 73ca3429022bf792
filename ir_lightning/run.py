"""One run: check, name, claim, record, train, record."""

import time
import traceback
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from ir_lightning import ranks, resolvers
from ir_lightning.errors import RunError, Stopped, StorageError, UsageError
from ir_lightning.files import atomic_write, remove_temporaries
from ir_lightning.runs.apart import train_apart
from ir_lightning.runs.check import check, resolve
from ir_lightning.runs.claim import Claim, TakenError, still_ours
from ir_lightning.runs.identity import config_hash, directory_of
from ir_lightning.runs.pretraining import FirstRun
from ir_lightning.runs.result import FAILURE, LOG, forget, gained, provenance, write_result
from ir_lightning.runs.splits import write_splits
from ir_lightning.runs.state import State, state_of
from ir_lightning.runs.stopping import Signals
from ir_lightning.runs.sweeps import has_failed
from ir_lightning.runs.watch import Watch

POLL = 2.0  # seconds
console = Console(highlight=False)
resolvers.register()

Record = dict[str, Any]


def run(
    config: DictConfig, asked: list[str], in_sweep: bool = False, retry: bool = False
) -> Record:
    """Do what a composed configuration says, unless it is done already.

    Args:
        config: as composed by Hydra from conf/train.yaml.
        asked: the command line's overrides; they name the run's directory.
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
    config, notices, images, first = check(config, asked)
    digest = config_hash(config)
    run_dir = directory_of(config, asked, digest)
    if ranks.rank() > 0:
        return _follow(resolve(config), run_dir, digest)
    for notice in notices:
        console.print(notice)
    known = state_of(run_dir)
    found = known.record.get("config_hash", digest) if known else digest
    if found != digest and not config.rerun:
        raise UsageError(
            f"run_dir={run_dir} holds a run of another configuration ({found}, not "
            f"{digest}): choose another run_dir, or rerun=true to replace it."
        )
    again = config.rerun and not in_sweep  # a sweep has put such runs back into its queue
    if known and known.status == "finished" and not again:
        console.print(f"Finished already (rerun=true trains it again): {run_dir}", soft_wrap=True)
        if not in_sweep:
            show(known.record, run_dir)
        return known.record
    if in_sweep and not retry and known and _left_alone(known, config.sweep.fail_fast):
        return known.record
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
        forget(run_dir)
    queued = state.record if state else {}
    plain = resolve(config)
    return record_run(plain, asked, digest, run_dir, images, claim, queued, in_sweep, first)


def train_first(first: FirstRun, in_sweep: bool) -> None:
    """Train the run that another one begins with; wait for it where somebody else trains it."""
    while run(first.config, first.asked, in_sweep, retry=True).get("status") != "finished":
        time.sleep(POLL)


def _left_alone(known: State, fail_fast: bool) -> bool:
    """Whether a sweep does not train a run: it has failed at it, or stops at any failure."""
    record = known.record
    others = fail_fast and "sweep" in record and has_failed(known.run_dir.parent, record["sweep"])
    return record.get("status") == "failed" or others


def _follow(plain: dict[str, Any], run_dir: Path, digest: str) -> Record:
    """Train as one of several processes; the first one claims and records."""
    attempt = ranks.wait_for_claim(run_dir)
    if attempt is None:
        return {}
    ranks.end_with_parent()
    from ir_lightning.training import train

    try:
        with Signals() as signals:
            return train(plain, run_dir, digest, lambda: still_ours(attempt), signals)
    except Exception:
        with atomic_write(attempt / f"rank{ranks.rank()}.log") as file:
            file.write(traceback.format_exc())
        raise


def record_run(
    plain: dict[str, Any],
    asked: list[str],
    digest: str,
    run_dir: Path,
    images: dict[str, list[str]],
    claim: Claim,
    known: Record,
    in_sweep: bool,
    first: FirstRun | None = None,
) -> Record:
    """Train, with a record on disk of the start and of whatever end it takes.

    Args:
        plain: resolved configuration.
        asked: the overrides that it was asked with.
        digest: config hash.
        run_dir: the run's directory.
        images: the names of every split's images.
        claim: on the run; it is given back at the end.
        known: what the record held so far.
        in_sweep: train in a process of its own.
        first: the run that this one begins with, if it is to be trained now.
    """
    begun: Record = {
        "status": "running",
        "config_hash": digest,
        "asked": asked,
        "seed": plain["seed"],
        "dataset": plain["dataset"]["name"],
        "budget": plain["budget"]["name"],
        "attempt": int(claim.directory.name),
        **{key: known[key] for key in ("sweep", "label") if key in known},
        **provenance(),
    }
    end: Record = {"status": "failed", "reason": "it could not be begun"}
    stopped: Stopped | None = None
    start = time.monotonic()
    try:
        remove_temporaries(run_dir)
        with atomic_write(run_dir / "config.yaml") as file:
            file.write(OmegaConf.to_yaml(OmegaConf.create(plain)))
        begun["splits"] = write_splits(run_dir, images)
        write_result(run_dir, begun)
        console.print(f"Run directory: {run_dir}", soft_wrap=True)
        if first is not None:
            train_first(first, in_sweep)
        measured = _train(plain, run_dir, digest, claim, in_sweep)
        end = {"status": "finished", "seconds": round(time.monotonic() - start, 1), **measured}
        claim.require()
        write_result(run_dir, begun | end)
    except BaseException as error:
        stopped = error if isinstance(error, Stopped) else None
        named = _named(error, run_dir)
        end = _end_of(named, claim.directory)
        try:
            claim.require()
            write_result(run_dir, begun | end)
        except (OSError, StorageError) as unwritten:
            console.print(f"This end could not be recorded: {_named(unwritten, run_dir)}")
        if "label" in begun and isinstance(named, UsageError | RunError):
            named.args = (f"{begun['label']}: {named}",)  # which run of the sweep it was
        if named is error:
            raise
        raise named from error
    finally:
        claim.release(**{key: end[key] for key in ("status", "reason") if key in end})
        if stopped is not None:
            stopped.answer()  # last: a scheduler that gets its node back kills what is there
    if in_sweep:
        gain = gained(end)
        told = f"{float(end['restored']['psnr']):.3f} dB" if gain is None else f"{gain:+.3f} dB"
        console.print(f"Finished in {end['seconds']} s: {told}", soft_wrap=True)
    else:
        show(begun | end, run_dir)
    return begun | end


def _train(
    plain: dict[str, Any], run_dir: Path, digest: str, claim: Claim, in_sweep: bool
) -> Record:
    if in_sweep:
        with Watch(console, run_dir, plain["budget"]["iterations"]) as watch:
            return train_apart(plain, run_dir, digest, claim.directory, watch)
    ranks.announce_claim(claim.directory)
    from ir_lightning.training import train  # torch takes seconds to import: only now

    with Signals() as signals:
        try:
            return train(plain, run_dir, digest, claim.require, signals)
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


def show(result: Record, run_dir: Path) -> None:
    """The final table: degraded, restored, gain, by every protocol."""
    table = Table(title=f"{result['dataset']}: mean over {result['images']} test images")
    for column in ("protocol", "", "PSNR (dB)", "SSIM"):
        table.add_column(column, justify="right" if column[:1] in "PS" else "left")
    for protocol, scores in result["scores"].items():
        degraded, restored = scores["degraded"], scores["restored"]
        rows = [("degraded", degraded), ("restored", restored)]
        for kind, score in rows:
            psnr, ssim = float(score["psnr"]), float(score["ssim"])
            table.add_row(protocol, kind, f"{psnr:.3f}", f"{ssim:.4f}")
        if (gain := gained(scores)) is not None:
            ssim = float(restored["ssim"]) - float(degraded["ssim"])
            table.add_row(protocol, "gain", f"{gain:+.3f}", f"{ssim:+.4f}")
        table.add_section()
    console.print(table)
    console.print(f"Pictures and scores: {run_dir}", soft_wrap=True)
