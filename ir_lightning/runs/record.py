"""The record of a run: written when it starts, and whatever happens, when it ends."""

import csv
import hashlib
import importlib.metadata
import json
import math
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ir_lightning.files import atomic_write, write_json
from ir_lightning.runs.legacy import current_record

RESULT = "result.json"
TEST_IMAGES = "test_images.csv"
CURVE = "metrics.csv"
OUTCOME = (RESULT, TEST_IMAGES, CURVE, "generator.safetensors", "discriminator.safetensors")
LOG, FAILURE = "log.txt", "failure.log"  # of an attempt: what it said; a bug's traceback
BUDGET = re.compile(r"^budget:\n(?: .*\n?)+", re.MULTILINE)
NETWORKS = ("generator", "discriminator")  # that a run trains, and leaves
PACKAGES = ("ir-lightning", "torch", "lightning", "hydra-core", "kornia", "torchmetrics", "numpy")


def read_result(run_dir: Path) -> dict[str, Any]:
    """The record of a run; empty where there is none, or none that can be read."""
    try:
        record = json.loads((run_dir / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return current_record(record) if isinstance(record, dict) else {}


def budget_of(run_dir: Path) -> dict[str, Any]:
    """``budget`` of a run's configuration; empty where it cannot be read."""
    try:
        text = (run_dir / "config.yaml").read_text("utf-8")
        block = BUDGET.search(text)  # parsing all of it takes ten times as long
        return dict(yaml.safe_load(block[0] if block else text)["budget"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return {}


def write_result(run_dir: Path, result: dict[str, Any]) -> None:
    """Replace ``result.json`` in one step."""
    write_json(run_dir / RESULT, result)


def reset_run(run_dir: Path) -> None:
    """Drop record, results and checkpoints of an earlier run, so that it begins anew."""
    for name in OUTCOME:
        (run_dir / name).unlink(missing_ok=True)
    for folder in ("checkpoints", "evaluations", "images"):
        shutil.rmtree(run_dir / folder, ignore_errors=True)


def write_rows(run_dir: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``test_images.csv``: one row per image, in test order."""
    with atomic_write(run_dir / TEST_IMAGES) as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def gained(record: dict[str, Any]) -> float | None:
    """Gain in PSNR over the degraded images, in dB; None where these had lost nothing.

    An image that is only to be copied (``task=reconstruction``) has an infinite PSNR beforehand.

    Raises:
        KeyError, TypeError, ValueError: the record has no scores.
    """
    restored, degraded = (float(record[kind]["psnr"]) for kind in ("restored", "degraded"))
    return restored - degraded if math.isfinite(degraded) else None


def mean_scores(rows: Sequence[dict[str, Any]], protocols: Sequence[str]) -> dict[str, Any]:
    """Means over images, per protocol: ``{rgb8: {degraded: {psnr, ssim}, restored: {...}}}``."""
    scores: dict[str, Any] = {}
    for protocol in protocols:
        prefix = "" if protocol == rows[0]["protocol"] else f"{protocol}:"
        scores[protocol] = {
            kind: {
                metric: sum(row[f"{prefix}{kind}_{metric}"] for row in rows) / len(rows)
                for metric in ("psnr", "ssim")
            }
            for kind in ("degraded", "restored")
        }
    return scores


def scores_by_dataset(
    rows: Sequence[dict[str, Any]], protocols: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The means of each data set in a mixed test set, whose images are named ``dataset/image``."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        dataset, slash, _ = row["name"].partition("/")
        if slash:
            groups.setdefault(dataset, []).append(row)
    return {
        dataset: {"images": len(group), **mean_scores(group, protocols)}
        for dataset, group in groups.items()
    }


def provenance() -> dict[str, Any]:
    """What the numbers were made with: package versions, git commit, machine."""
    return {
        "versions": {"python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in PACKAGES},
        "git_commit": git_commit(),
        "machine": {"system": platform.system(), "processor": platform.machine()},
    }


def git_commit() -> str | None:
    """The commit of the source tree, ``+changes`` if it was edited; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(here), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and git("status", "--porcelain", "-uno") else commit


SPLITS = "splits.json"


def write_splits(run_dir: Path, names: Mapping[str, list[str]]) -> dict[str, Any]:
    """Write ``splits.json`` with all names.

    Returns:
        For the record, per split: ``images`` and ``sha256`` of the names. Two runs whose hashes
        agree were validated and tested on the same images.
    """
    write_json(run_dir / SPLITS, dict(names))
    return {
        split: {
            "images": len(listed),
            "sha256": hashlib.sha256("\n".join(listed).encode()).hexdigest(),
        }
        for split, listed in names.items()
    }
