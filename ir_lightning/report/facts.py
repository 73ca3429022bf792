"""What an experiment's numbers were made of, for every form of its report."""

import math
from collections.abc import Iterable

from ir_lightning.report.runs import Results, Run

SMALL_RUN = "A small run: its numbers do not compare with the paper's."


def facts(results: Results) -> dict[str, str]:
    """Name to value; what differs between runs is told in full, a dash stands for nothing.

    An experiment without runs has no facts.
    """
    runs = [run for group in results.groups for run in group.runs.values()]
    if not runs:
        return {}
    done = [run for run in runs if run.finished]
    return {
        "budget": results.budget,
        "runs": f"{len(done)} of {len(runs)} finished",
        "protocol": _all(str(run.record["protocol"]) for run in done),
        "iterations": _all(str(run.record["iterations"]) for run in done),
        "test images": _all(_images(run) for run in done),
        "data sets": _all(str(run.record["dataset"]) for run in done),
        "degraded": _all(_degraded(run) for run in done),
        "device": _all(str(run.record["device"]) for run in done),
        "code": _all(str(run.record["git_commit"]) for run in done),
    }


def warning(results: Results) -> str:
    """What must be said beside the numbers of a small run; empty for the paper's budget."""
    return SMALL_RUN if results.groups and results.budget != "paper" else ""


def _images(run: Run) -> str:
    """How many were scored, and how much of each."""
    whole = str(run.record["images"])
    return f"{whole}, {run.side} x {run.side} pixels of each" if run.side else whole


def _degraded(run: Run) -> str:
    """What a restorer has to beat."""
    psnr = float(run.record["degraded"]["psnr"])
    return f"{psnr:.2f} dB ({run.record['dataset']})" if math.isfinite(psnr) else "-"


def _all(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "-"
