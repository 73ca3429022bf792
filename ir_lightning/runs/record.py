"""The record of a run, and of its evaluations: that of its training, and later ones."""

import hashlib
import importlib.metadata
import json
import math
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ir_lightning.files import write_json
from ir_lightning.runs.legacy import current_record

RESULT = "result.json"
TEST_IMAGES = "test_images.csv"
CURVE = "metrics.csv"
OUTCOME = (RESULT, TEST_IMAGES, CURVE, "generator.safetensors", "discriminator.safetensors")
LOG, FAILURE = "log.txt", "failure.log"  # of an attempt: what it said; a bug's traceback
SHORT = 5  # letters: words up to it in the name of a metric are abbreviations
UNITS = {"psnr": "dB", "ssim": ""}  # of records that do not say by which metrics they were scored
EVALUATIONS = "evaluations"
"""Each later one has a folder there, by its hash, as the first has the run's directory."""
SPLITS = "splits.json"
SUMMARY = ("overrides", "dataset", "protocol", "images", "degraded", "restored")
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
    for folder in ("checkpoints", EVALUATIONS, "images"):
        shutil.rmtree(run_dir / folder, ignore_errors=True)


def metrics_of(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each metric that a run was scored by: its ``unit``, and whether ``higher_is_better``."""
    earlier = {name: {"unit": unit, "higher_is_better": True} for name, unit in UNITS.items()}
    metrics: dict[str, dict[str, Any]] = record.get("metrics", earlier)
    return metrics


def speed_of(record: Mapping[str, Any]) -> str:
    """How a run was computed: ``exact``, as all were before there was a choice, or ``fast``."""
    name = str(record.get("speed", "exact"))
    return f"{name}, not recorded" if "not_recorded" in record else name


def metric_label(metric: str, unit: str) -> str:
    """How tables and figures call a metric.

    >>> metric_label("undegraded_psnr", "dB")
    'undegraded PSNR (dB)'
    """
    words = (word.upper() if len(word) <= SHORT else word for word in metric.split("_"))
    return " ".join(words) + (f" ({unit})" if unit else "")


CEILING = 10 * math.log10(12 * 255**2)
"""dB, 58.92: the PSNR of the error of rounding to 8 bits, 1/12 of a squared grey level. An image
that is restored exactly, with an infinite PSNR, counts as this among others."""


def mean(values: Iterable[float]) -> float:
    """Mean over the images for which a metric is defined; NaN where it is for none."""
    defined = [value for value in values if not math.isnan(value)]
    # Added one after the other: numpy's order of adding would change the last digits.
    return sum(defined) / len(defined) if defined else math.nan


def mean_score(metric: str, values: Iterable[float]) -> float:
    """The same of a metric of restored images, in which a PSNR counts as :data:`CEILING` at most.

    So a single exact image neither hides the others nor chooses a checkpoint.
    """
    capped = [min(value, CEILING) for value in values] if metric.endswith("psnr") else values
    return mean(capped)


def score_text(value: Any, unit: str, sign: str = "") -> str:
    """A score or, with ``sign="+"``, a difference; empty where there is none."""
    if value is None or math.isnan(float(value)):
        return ""
    return f"{float(value):{sign}.3f}" if unit == "dB" else f"{float(value):{sign}.4f}"


def gained(record: dict[str, Any], metric: str | None = None) -> float | None:
    """Gain by a metric, the first by default, over the degraded images.

    None where these had lost nothing: an image that is only to be copied (``task=reconstruction``)
    has an infinite PSNR. ``record`` is of a finished run, or its scores by one protocol.

    Raises:
        KeyError, TypeError, ValueError: the record has no scores.
    """
    metric = metric or next(iter(record["degraded"]), "")
    restored, degraded = (float(record[kind][metric]) for kind in ("restored", "degraded"))
    return None if math.isinf(degraded) else restored - degraded


def score_cells(record: dict[str, Any]) -> dict[str, str]:
    """A finished run's line in a table, text by heading, by its first protocol; or empty."""
    try:
        degraded, restored = record["degraded"], record["restored"]
        units = {n: about["unit"] for n, about in metrics_of(record).items() if n in degraded}
        cells = {metric_label(n, unit): score_text(restored[n], unit) for n, unit in units.items()}
        unit = next(iter(units.values()))
        heading = f"gain ({unit})" if unit else "gain"
        return {**cells, heading: score_text(gained(record), unit, "+")}
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError):
        return {}


def provenance() -> dict[str, Any]:
    """What the numbers were made with: package versions, git commit, machine."""
    versions = {package: _version(package) for package in PACKAGES}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "git_commit": git_commit(),
        "machine": {"system": platform.system(), "processor": platform.machine()},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # this one, as a source tree
        return "not installed"


def git_commit() -> str | None:
    """The commit of the source tree, ``+changes`` if it was edited; None outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
            return done.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""

    commit = git("rev-parse", "HEAD")
    changes = "+changes" if commit and git("status", "--porcelain", "-uno") else ""
    return commit + changes or None


def write_splits(run_dir: Path, names: Mapping[str, list[str]]) -> dict[str, Any]:
    """Write ``splits.json``, all names; returns ``images``, a count, and ``sha256`` by split."""
    write_json(run_dir / SPLITS, dict(names))
    digests = {s: hashlib.sha256("\n".join(listed).encode()) for s, listed in names.items()}
    return {s: {"images": len(names[s]), "sha256": d.hexdigest()} for s, d in digests.items()}


def evaluation_folder(run_dir: Path, evaluation: str | None) -> Path:
    """Where the files of an evaluation lie, or will lie; None: of the one of the training."""
    own = evaluation is None or read_result(run_dir).get("evaluation") in (evaluation, None)
    return run_dir if own else run_dir / EVALUATIONS / str(evaluation)


def later_evaluations(run_dir: Path) -> dict[str, dict[str, Any]]:
    """The records of the evaluations that were made after a run's training, by their hashes."""
    folders = sorted((run_dir / EVALUATIONS).glob("*/"))
    records = {folder.name: read_result(folder) for folder in folders}
    return {n: record for n, record in records.items() if record.get("status") == "finished"}


def add_evaluation(run_dir: Path, evaluation: str, record: dict[str, Any]) -> None:
    """Write the record of an evaluation, and list it in that of the run, which is claimed."""
    write_result(run_dir / EVALUATIONS / evaluation, record)
    run = read_result(run_dir)
    summary = {key: record[key] for key in SUMMARY if key in record}
    run["evaluations"] = {**run.get("evaluations", {}), evaluation: summary}
    write_result(run_dir, run)
