"""The record of a run: written when it starts, and whatever happens, when it ends."""

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
EARLIER_METRICS = {
    "psnr": {"unit": "dB", "higher_is_better": True},
    "ssim": {"unit": "", "higher_is_better": True},
}
"""Of records that do not say by which metrics they were scored."""
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


def metrics_of(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each metric that a run was scored by: its ``unit``, and whether ``higher_is_better``."""
    metrics: dict[str, dict[str, Any]] = record.get("metrics", EARLIER_METRICS)
    return metrics


def metric_label(metric: str, unit: str) -> str:
    """How tables and figures call a metric.

    >>> metric_label("undegraded_psnr", "dB")
    'undegraded PSNR (dB)'
    """
    words = (word.upper() if len(word) <= SHORT else word for word in metric.split("_"))
    return " ".join(words) + (f" ({unit})" if unit else "")


def mean(values: Iterable[float]) -> float:
    """Mean over the images for which a metric is defined; NaN where it is for none."""
    defined = [value for value in values if not math.isnan(value)]
    # Added one after the other: numpy's order of adding would change the last digits.
    return sum(defined) / len(defined) if defined else math.nan


def score_text(value: Any, unit: str, sign: str = "") -> str:
    """A score or, with ``sign="+"``, a difference; empty where there is none."""
    if value is None or math.isnan(float(value)):
        return ""
    return f"{float(value):{sign}.3f}" if unit == "dB" else f"{float(value):{sign}.4f}"


def gained(record: dict[str, Any], metric: str | None = None) -> float | None:
    """Gain over the degraded images; None where these had lost nothing.

    An image that is only to be copied (``task=reconstruction``) has an infinite PSNR beforehand.

    Args:
        record: of a finished run, or its scores by one protocol.
        metric: None: the first one, which is PSNR unless the configuration says otherwise.

    Raises:
        KeyError, TypeError, ValueError: the record has no scores.
    """
    metric = metric or next(iter(record["degraded"]), "")
    restored, degraded = (float(record[kind][metric]) for kind in ("restored", "degraded"))
    return None if math.isinf(degraded) else restored - degraded


def score_cells(record: dict[str, Any]) -> dict[str, str]:
    """A finished run's line in a table of runs: heading to text, by the run's first protocol.

    Metrics that images have before and after restoration, and the gain in the first of them.
    Empty where the record holds no scores that can be read.
    """
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
