"""What is done to runs afterwards: training them again, and deleting what nobody needs."""

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ir_lightning.build import TRAININGS, refuse_untrusted
from ir_lightning.errors import StorageError, UsageError
from ir_lightning.files import temporaries
from ir_lightning.launch.attempt import Record, TrainingJob, record_run
from ir_lightning.launch.preflight import check
from ir_lightning.runs.claim import ATTEMPTS, PENDING, Claim, TakenError
from ir_lightning.runs.identity import training_hash
from ir_lightning.runs.legacy import COMMAND, CONFIG, read_config
from ir_lightning.runs.record import read_result
from ir_lightning.runs.state import SWEEPS, State

READ = (
    *("seed", "threads", "system", "data", "callbacks", "logger", "checkpoint", "evaluation"),
    "speed",
)
"""What a training reads of a configuration, beside what the check looks at."""
HASH = re.compile(r"[0-9a-f]{10}")
WRONG = (
    *(LookupError, TypeError, ValueError, AttributeError, RecursionError),
    *(OmegaConfBaseException, HydraException),
)
LEFT = 60.0  # seconds after which a writer that needs no claim, such as a sweep's start, is done
DELETED = ".deleted-"  # a run's directory on its way out
CHECKPOINTS = ("last.ckpt", "previous.ckpt")  # what goes on from there; best.ckpt stays


def resume(run_dir: Path, trust: Sequence[str] = ()) -> Record:
    """Continue a failed or interrupted run from its last checkpoint, in a process of its own.

    Raises:
        UsageError: before anything is built or written: there is no configuration, it is not whole,
            it names classes that are not this package's, it needs several devices, or somebody else
            trains the run.
        RunError, Stopped: as in :func:`ir_lightning.launch.run.run`.
    """
    path = run_dir / CONFIG
    plain = read_config(run_dir)
    refuse_untrusted(plain, path, TRAININGS.plus(trust))
    images, config_hash = _checked(plain, path)
    try:
        claim = Claim.take(run_dir)
    except TakenError as taken:
        raise UsageError(f"{run_dir} is being trained by {taken}.") from None
    except OSError as error:
        raise UsageError(f"{run_dir} cannot be written: {error.strerror}.") from None
    record = read_result(run_dir)
    if record.get("status") == "finished":  # a moment ago
        claim.release(status="finished")
        return record
    # A resolved configuration need not have the hash of the one that was asked for.
    told = (str(record.get("config_hash")), run_dir.name.rpartition("-")[2], config_hash)
    config_hash = next(each for each in told if HASH.fullmatch(each))
    given = record.get("overrides")
    overrides = [str(override) for override in given] if isinstance(given, list) else []
    job = TrainingJob(plain, overrides, config_hash, run_dir, images)
    return record_run(job, claim, record, in_sweep=True)


def _checked(plain: Any, path: Path) -> tuple[dict[str, list[str]], str]:
    """The names of every split's images and the config hash, after the checks of train.py."""
    try:
        trainer = plain["trainer"]
        # All is resolved, so that nothing refers to this key any more, which the check would mind.
        images = check(DictConfig({**plain, "clean_dir": None})).images
        _ = [plain[key] for key in READ], plain["dataset"]["name"], plain["budget"]["name"]
        config_hash = training_hash(plain)
        several = trainer["devices"] != 1 or trainer.get("num_nodes", 1) != 1
    except WRONG as error:
        told = "".join(str(error).splitlines()[:1])
        raise UsageError(
            f"{path}: it is not the configuration of a run ({type(error).__name__}: {told}); "
            f"give {COMMAND}."
        ) from error
    if several:  # Lightning would start this command again, once for each device
        raise UsageError(
            f"{path}: trainer.devices={trainer['devices']} is for the command that started it: "
            f"give {COMMAND}."
        )
    return images, config_hash


def dispensable(
    folder: Path, states: list[State], failed: bool
) -> Iterator[tuple[State | None, list[Path]]]:
    """What can go, run by run; without a run, what an earlier cleaning or sweep has left.

    With ``failed``, failed and queued runs go altogether.
    """
    left = [*folder.glob(f"{DELETED}*"), *filter(_old, temporaries(folder / SWEEPS))]
    if left:
        yield None, left
    for state in states:
        run_dir = state.run_dir
        pending = run_dir.glob(f"{ATTEMPTS}/{PENDING}*")
        if state.status == "running":
            continue
        if failed and state.status in ("failed", "queued") and not run_dir.is_symlink():
            yield state, [run_dir]
            continue
        left = [*filter(_old, (*temporaries(run_dir), *pending))]
        if state.status == "finished":
            files = (run_dir / "checkpoints" / name for name in CHECKPOINTS)
            left += [path for path in files if path.exists()]
        if left:
            yield state, left


def _old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > LEFT
    except OSError:
        return False  # its writer was not dead


def delete(state: State | None, paths: list[Path]) -> None:
    """Delete them, while nobody can begin to train the run.

    Raises:
        StorageError: they stay, because somebody trains the run, or the system does not allow it.
    """
    try:
        if state is None:
            _remove(paths)
            return
        with _held(state) as claim:
            if paths == [state.run_dir]:
                # In one step: whoever asks for this run now begins a new one.
                away = state.run_dir.with_name(f"{DELETED}{state.run_dir.name}")
                paths = [state.run_dir.rename(away)]
                claim.directory = away / ATTEMPTS / claim.directory.name  # not that one's
            _remove(paths)
    except OSError as error:
        where = error.filename or (state.run_dir if state else paths[0])
        raise StorageError(f"{where} cannot be deleted: {error.strerror}.") from None


@contextmanager
def _held(state: State) -> Iterator[Claim]:
    """Hold the claim on an idle run, and leave no trace of that."""
    number = state.attempt.number if state.attempt else 0
    try:
        claim = Claim.take(state.run_dir)
    except TakenError as taken:
        raise StorageError(f"{state.run_dir} stays: {taken} trains it.") from None
    try:
        if claim.directory.name != str(number + 1) or read_result(state.run_dir) != state.record:
            raise StorageError(f"{state.run_dir} stays: somebody has been at it meanwhile.")
        yield claim
    finally:
        claim.release(status="cleaned")
        shutil.rmtree(claim.directory, ignore_errors=True)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
