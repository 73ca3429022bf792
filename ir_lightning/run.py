"""One run: check, name, record, train, record."""

import shutil
import time
import traceback
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from ir_lightning import resolvers
from ir_lightning.errors import DataError, UsageError
from ir_lightning.files import atomic_write
from ir_lightning.runs.check import check, resolve
from ir_lightning.runs.identity import config_hash, directory_of
from ir_lightning.runs.result import RESULT, provenance, read_result, write_result
from ir_lightning.runs.splits import write_splits

console = Console(highlight=False)
resolvers.register()


def run(config: DictConfig, asked: list[str]) -> dict[str, Any]:
    """Do what a composed configuration says, unless it is done already.

    Args:
        config: as composed by Hydra from conf/train.yaml.
        asked: the command line's overrides; they name the run's directory.

    Returns:
        The result record, as in ``result.json``.

    Raises:
        UsageError: before anything is written, when the request cannot work.
        DataError: a file broke under way; like every failure it is recorded in ``result.json``.
    """
    config, notices, images = check(config)
    digest = config_hash(config)
    run_dir = directory_of(config, asked, digest)
    for notice in notices:
        console.print(notice)
    if config.rerun:
        forget(run_dir)
    known = read_result(run_dir)
    if known.get("config_hash", digest) != digest:
        raise UsageError(
            f"run_dir={run_dir} holds a run of another configuration ({known['config_hash']}, not "
            f"{digest}): choose another run_dir, or rerun=true to replace it."
        )
    if known.get("status") == "finished":
        console.print(f"Finished already (rerun=true trains it again): {run_dir}", soft_wrap=True)
        show(known, run_dir)
        return known
    return _record(resolve(config), asked, digest, run_dir, images)


def forget(run_dir: Path) -> None:
    """Drop the record, the curve and the checkpoints of an earlier run, so that it begins anew."""
    for name in (RESULT, "metrics.csv"):
        (run_dir / name).unlink(missing_ok=True)
    shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)


def _record(
    plain: dict[str, Any],
    asked: list[str],
    digest: str,
    run_dir: Path,
    images: dict[str, list[str]],
) -> dict[str, Any]:
    """Train, with a record on disk of the start and of whatever end it takes."""
    begun: dict[str, Any] = {
        "status": "running",
        "config_hash": digest,
        "asked": asked,
        "seed": plain["seed"],
        "dataset": plain["dataset"]["name"],
        "budget": plain["budget"]["name"],
        **provenance(),
    }
    try:
        with atomic_write(run_dir / "config.yaml") as file:
            file.write(OmegaConf.to_yaml(OmegaConf.create(plain)))
        begun["splits"] = write_splits(run_dir, images)
        write_result(run_dir, begun)
    except OSError as error:
        raise UsageError(f"run_dir={run_dir} cannot be written: {error.strerror}.") from None
    console.print(f"Run directory: {run_dir}", soft_wrap=True)
    start = time.monotonic()
    try:
        from ir_lightning.training import train  # torch takes seconds to import: only now

        measured = train(plain, run_dir, digest)
    except BaseException as error:
        write_result(run_dir, begun | {"status": "failed", "reason": _reason(error, run_dir)})
        raise
    seconds = round(time.monotonic() - start, 1)
    result = begun | {"status": "finished", "seconds": seconds} | measured
    write_result(run_dir, result)
    show(result, run_dir)
    return result


def _reason(error: BaseException, run_dir: Path) -> str:
    """Why a run failed, in a line; a bug's traceback goes to ``failure.log``."""
    if isinstance(error, KeyboardInterrupt | SystemExit):  # Lightning turns the one into the other
        console.print("Interrupted; the same command continues from the last checkpoint.")
        return "interrupted"
    if isinstance(error, UsageError | DataError):
        return str(error)
    with atomic_write(run_dir / "failure.log") as file:
        file.write(traceback.format_exc())
    return f"{type(error).__name__}: {error}"


def show(result: dict[str, Any], run_dir: Path) -> None:
    """The final table: degraded, restored, gain, by every protocol."""
    table = Table(title=f"{result['dataset']}: mean over {result['images']} test images")
    for column in ("protocol", "", "PSNR [dB]", "SSIM"):
        table.add_column(column, justify="right" if column[:1] in "PS" else "left")
    for protocol, scores in result["scores"].items():
        degraded, restored = scores["degraded"], scores["restored"]
        rows = [("degraded", degraded), ("restored", restored)]
        for kind, score in rows:
            psnr, ssim = float(score["psnr"]), float(score["ssim"])
            table.add_row(protocol, kind, f"{psnr:.3f}", f"{ssim:.4f}")
        gain = [float(restored[metric]) - float(degraded[metric]) for metric in ("psnr", "ssim")]
        table.add_row(protocol, "gain", f"{gain[0]:+.3f}", f"{gain[1]:+.4f}", end_section=True)
    console.print(table)
    console.print(f"Pictures and scores: {run_dir}", soft_wrap=True)
