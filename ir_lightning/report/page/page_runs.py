"""The runs of an experiment on its page: how each ended, where it lies, what it was made with."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ir_lightning.report.runs import Run
from ir_lightning.runs.record import CURVE, RESULT, TEST_IMAGES

FILES = ("config.yaml", RESULT, CURVE, TEST_IMAGES)
ABSOLUTE = re.compile(r"(?<![\w.~/…])(?:~|[A-Za-z]:(?=[\\/]))?[\\/](?:[^\s'\":,;=\\/]+[\\/])+")
"""The folders of a path from the root or home of one computer, which mean nothing elsewhere."""


@dataclass(frozen=True)
class Row:
    """A run as the page shows it.

    Attributes:
        seed: the run's.
        status: ``finished``, ``failed``, ..., or ``not begun``.
        scores: mean PSNR and SSIM in words; empty until finished.
        links: file name to its address relative to the page, of those that are there.
        provenance: what it was made with, name to value.
    """

    seed: int
    status: str
    scores: str
    links: dict[str, str]
    provenance: dict[str, str]


def row(seed: int, run: Run, folder: Path) -> Row:
    """A run, as seen from the page in ``folder``."""
    scores = ""
    if run.finished:
        scores = f"{np.mean(run.psnr):.2f} dB, SSIM {np.mean(run.ssim):.4f}"
    status = str(run.record.get("status", "not begun"))
    return Row(seed, status, scores, _links(run.directory, folder), provenance(run.record))


def _links(run_dir: Path, folder: Path) -> dict[str, str]:
    place = Path(os.path.relpath(run_dir, folder.resolve())).as_posix()
    there = [name for name in FILES if (run_dir / name).is_file()]
    return {name: quote(f"{place}/{name}", safe="/=,+") for name in there}


def provenance(record: Mapping[str, Any]) -> dict[str, str]:
    """What a run's record says about how it was made; what it does not say is left out."""
    overrides = " ".join(map(str, record.get("overrides") or []))
    best = record.get("best_validation") or {}
    told = {
        "reason": record.get("reason"),
        "config hash": record.get("config_hash"),
        "overrides": overrides,
        "git commit": record.get("git_commit"),
        "data set": record.get("dataset"),
        "test images": record.get("images"),
        "SHA-256 of their names": (record.get("splits") or {}).get("test", {}).get("sha256"),
        "protocol": record.get("protocol"),
        "budget": record.get("budget"),
        "iterations": record.get("iterations"),
        "seconds": record.get("seconds"),
        "device": record.get("device"),
        "machine": _pairs(record.get("machine")),
        "processes, threads": _both(record.get("processes"), record.get("threads")),
        "parameters": _pairs(record.get("parameters")),
        "multiply-adds, 256 × 256": _grouped(record.get("multiply_adds")),
        "best validation": _pairs(best),
        "D saturated at": record.get("d_saturated_at"),
        "attempt": record.get("attempt"),
        "versions": _pairs(record.get("versions")),
    }
    return {key: portable(str(value)) for key, value in told.items() if value not in (None, "")}


def portable(text: str) -> str:
    """A text without the folders of one computer.

    >>> portable("paths.runs=/home/ada/runs depth=3")
    'paths.runs=…/runs depth=3'
    """
    return ABSOLUTE.sub("…/", text)


def _pairs(values: Any) -> str:
    if not isinstance(values, Mapping):
        return ""
    return ", ".join(f"{key} {_grouped(value)}" for key, value in values.items())


def _both(one: Any, other: Any) -> str:
    return f"{one}, {other}" if one is not None and other is not None else ""


def _grouped(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value or "")
