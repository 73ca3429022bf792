"""The evaluations of a run: the one that it was trained with, and those that came later.

The first has its files at the top of the run's directory, each of the others has a folder of its
own, ``evaluations/<evaluation hash>``, with the same names in it: ``result.json``, a whole record
with the scores of that evaluation, ``test_images.csv`` and ``images/``; the configuration is
``evaluation.yaml``. The run's record lists them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ir_lightning.runs.record import read_result, write_result

EVALUATIONS = "evaluations"
SUMMARY = ("overrides", "dataset", "protocol", "images", "degraded", "restored")


def evaluation_folder(run_dir: Path, evaluation: str | None) -> Path:
    """Where the files of an evaluation lie, or will lie.

    Args:
        run_dir: the run's directory.
        evaluation: of :func:`~ir_lightning.runs.identity.evaluation_hash`; None stands for the one
            that the run was trained with.
    """
    own = evaluation is None or read_result(run_dir).get("evaluation") in (evaluation, None)
    return run_dir if own else run_dir / EVALUATIONS / str(evaluation)


def later_evaluations(run_dir: Path) -> dict[str, dict[str, Any]]:
    """The records of the evaluations that were made after a run's training, by their hashes."""
    folders = sorted((run_dir / EVALUATIONS).glob("*/"))
    records = {folder.name: read_result(folder) for folder in folders}
    return {n: record for n, record in records.items() if record.get("status") == "finished"}


def add_evaluation(run_dir: Path, evaluation: str, record: Mapping[str, Any]) -> None:
    """Write the record of an evaluation, and list it in that of the run.

    Args:
        run_dir: a finished run; the caller holds the claim on it.
        evaluation: its hash.
        record: of the evaluation.
    """
    write_result(run_dir / EVALUATIONS / evaluation, dict(record))
    run = read_result(run_dir)
    summary = {key: record[key] for key in SUMMARY if key in record}
    run["evaluations"] = {**run.get("evaluations", {}), evaluation: summary}
    write_result(run_dir, run)
