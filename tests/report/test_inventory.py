"""Table IV: what lies on disk is counted as it is, and judged against the printed counts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ir_lightning.cli import main
from ir_lightning.cli.steps.inventory import CountImages, count_part
from ir_lightning.errors import UnpairedError, UsageError
from ir_lightning.files import write_json
from ir_lightning.report.content import Content
from ir_lightning.report.experiment import Experiment, write_index
from ir_lightning.report.kinds.inventory_table import COUNTS
from tests.data.test_catalogue import TABLE_4 as PRINTED
from tests.helpers.reports import content_of

pytestmark = pytest.mark.slow


@pytest.fixture
def rain800(tmp_path: Path) -> Path:
    """A data folder with a Rain800 of 5 training and 2 test pictures, halves of 30x20 and up."""
    random = np.random.default_rng(0)
    for split, widths in (("training", (300, 30, 40, 280, 270)), ("test_syn", (300, 31))):
        folder = tmp_path / "data" / "rain800" / split
        folder.mkdir(parents=True)
        for number, width in enumerate(widths, 1):
            height = 20 if width < 100 else 260
            noise = random.integers(0, 256, (height, 2 * width, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / f"{number}.jpg")
    return tmp_path / "data"


def counted(dataset: str, training: Any, test: Any) -> dict[str, Any]:
    """A data set with these counts, None for what is not there."""
    parts = {
        part: {"absent": "x: no such folder."}
        if n is None
        else {"pairs": n, "held_out": 1, "below": 0, "sizes": [[2, 3]]}
        for part, n in (("training", training), ("test", test))
    }
    return {"dataset": dataset, "stands_in": [], "crop": 256, **parts}


def content(folder: Path, *counts: dict[str, Any]) -> Content:
    """The report on these counts."""
    write_index(folder, Experiment.named("table4"), [], [], "cpu")
    write_json(folder / COUNTS, counts)
    return content_of(folder)


def count(folder: Path, dataset: str, *overrides: str) -> list[dict[str, Any]]:
    """What the step before the report counts."""
    write_index(folder, Experiment.named("table4"), [], [], "cpu", dataset, overrides)
    CountImages()(folder, json.loads((folder / "experiment.json").read_text()))
    counts: list[dict[str, Any]] = json.loads((folder / COUNTS).read_text())
    return counts


def test_the_printed_counts_are_the_papers() -> None:
    paper = Experiment.named("table4").report["paper"]
    assert {name: (row["training"], row["test"]) for name, row in paper.items()} == PRINTED


def test_pictures_are_counted_and_measured(rain800: Path, tmp_path: Path) -> None:
    (entry,) = count(tmp_path, "rain800", f"paths.data={rain800}")
    training = entry["training"]
    assert (training["pairs"], training["below"], training["held_out"]) == (5, 2, 1)
    assert training["sizes"] == [[30, 20], [270, 260], [300, 260]]  # width x height, by area
    assert (entry["test"]["pairs"], entry["crop"]) == (2, 256)
    assert entry["stands_in"] == []


def test_what_is_not_there_is_said_and_the_stand_ins_are_called_synthetic(
    rain800: Path, tmp_path: Path
) -> None:
    entries = count(tmp_path, "synthetic", f"paths.data={rain800}")
    assert [entry["dataset"] for entry in entries] == [
        *PRINTED,
        *("noise", "haze", "rain", "rain_density", "rain_haze", "heavy_rain"),
    ]
    assert all("no such folder" in entry["absent"] for entry in entries[:2])
    report = content(tmp_path, *entries)
    rows = report.tables["table"].to_dict("records")
    assert [row["training, found"] for row in rows[:3]] == ["not there", "not there", "5"]
    assert [row["data set"] for row in rows[6:8]] == [
        "noise (synthetic, for sidd)",
        "haze (synthetic, for reside)",
    ]
    assert {row["training, paper"] for row in rows[6:]} == {"-"}
    assert [judged.where for judged in report.verdicts] == list(PRINTED)
    assert any("sidd: " in note and "no such folder" in note for note in report.notes)
    assert report.caution is None, "counts are no samples"


def test_benchmarks_leave_the_stand_ins_out(tmp_path: Path) -> None:
    entries = count(tmp_path, "benchmarks", "paths.data=/nowhere")
    assert [entry["dataset"] for entry in entries] == list(PRINTED)


@pytest.mark.parametrize(
    ("training", "test", "verdict"),
    [
        (12000, 1200, "supported"),
        (12000, 1201, "not supported"),
        (11999, None, "not supported"),
        (12000, None, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_one_wrong_count_refutes_and_a_missing_one_leaves_it_open(
    training: int | None, test: int | None, verdict: str, tmp_path: Path
) -> None:
    (judged,) = content(tmp_path, counted("rain1200", training, test)).verdicts
    assert (judged.where, judged.verdict) == ("rain1200", verdict)
    assert "training 12,000 in the paper" in judged.reason


def test_broken_files_are_not_called_missing() -> None:
    unpaired = UnpairedError("a.png has no partner.", [Path("a.png")])
    assert count_part([unpaired], 256) == {"refused": "a.png has no partner."}
    assert count_part([UsageError("no such folder.")], 256) == {"absent": "no such folder."}


def test_an_unknown_data_set_is_a_mistake_and_not_absent(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nosuch"):
        count(tmp_path, "nosuch")


def test_the_command_writes_index_and_report(rain800: Path, tmp_path: Path) -> None:
    command = ["experiment", "table4", "--dataset", "rain800", "--runs", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as ended:
        main([*command, f"paths.data={rain800}"])
    assert ended.value.code == 0
    folder = tmp_path / "runs" / "reports" / "table4-rain800-cpu"
    index = json.loads((folder / "experiment.json").read_text())
    assert index["runs"] == []
    (entry,) = json.loads((folder / COUNTS).read_text())
    assert entry["training"]["pairs"] == 5
    text = (folder / "report.md").read_text()
    assert "**not supported**: as published (rain800)" in text
    assert "small run" not in text
    assert "| rain800 | deraining | linear additive | 700 | 5 | 1 | 100 | 2 | 256 | 2 |" in text
    with pytest.raises(SystemExit) as ended:
        main([*command, f"paths.data={rain800}", "--photos", str(rain800)])
    assert ended.value.code == 2
