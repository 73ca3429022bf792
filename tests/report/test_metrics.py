"""Tables, figures, claims and the page take any metric that the runs were scored with."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.report.index import INDEX
from ir_lightning.report.runs import ReportedMetric, collect, read_run
from ir_lightning.report.write import write_report
from ir_lightning.runs.record import read_result, write_result
from ir_lightning.runs.scores import COLUMNS
from tests.helpers.reports import content_of, part
from tests.report.test_report import RECORD

DESCRIBED = {"lpips": {"unit": "", "higher_is_better": False}}
IMAGES = 20


def plant(run_dir: Path, lpips: float, seed: int, **record: Any) -> None:
    """A finished run with PSNR by two protocols and an LPIPS of one that is not the run's."""
    write_result(run_dir, RECORD | {"seed": seed, "images": IMAGES, "metrics": DESCRIBED} | record)
    with (run_dir / "test_images.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for image in range(IMAGES):
            own = lpips + 0.01 * np.sin(image) + 0.001 * np.sin(7 * image + 3 * seed)
            scores = [("psnr", "y-matlab", 40.0), ("psnr", "rgb8", 30.0 - 10 * own)]
            for metric, protocol, value in [*scores, ("lpips", "float", own)]:
                row = {"image": f"{image}.png", "scene": f"{image}", "dataset": "rain"}
                row |= {"metric": metric, "protocol": protocol}
                table.writerow({**row, "kind": "restored", "value": value})
                table.writerow({**row, "kind": "degraded", "value": 1.0})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """LPIPS falls from depth 1 to 3 and is then level."""
    runs = []
    for depth, lpips in ((1, 0.5), (2, 0.4), (3, 0.3), (4, 0.3)):
        for seed in (0, 1, 2):
            place = tmp_path / f"{depth}-{seed}"
            plant(place, lpips, seed)
            runs.append({"cell": {"depth": str(depth)}, "seed": seed, "run": f"../{place.name}"})
    deep, shallow = {"depth": 3}, {"depth": 1}
    report = part(
        "ScoreTable",
        metrics=["lpips", "psnr"],
        figure=part("LineFigure", x="depth"),
        claims=[
            part("Difference", metric="lpips", a=deep, b=shallow, margin=0.1, says="3 beats 1"),
            part("Difference", metric="lpips", a=shallow, b=deep, says="1 beats 3"),
            part("Grows", metric="lpips", over="depth", stop=3, says="falls"),
            part(
                "SaturatesAt",
                metric="lpips",
                over="depth",
                margin=0.02,
                expected=[3, 3],
                says="at 3",
            ),
        ],
    )
    index = {"experiment": "m", "title": "M", "budget": "cpu", "report": report, "runs": runs}
    write_json(tmp_path / "report" / INDEX, index)
    return tmp_path / "report"


def test_where_lower_is_better_a_fall_is_an_improvement(folder: Path) -> None:
    content = content_of(folder)
    verdicts = {judged.says: judged for judged in content.verdicts}
    assert {says: judged.verdict for says, judged in verdicts.items()} == {
        "3 beats 1": "supported",
        "1 beats 3": "not supported",
        "falls": "supported",
        "at 3": "supported",
    }
    assert verdicts["3 beats 1"].reason.startswith("+0.2 [")
    assert verdicts["3 beats 1"].reason.endswith("(lower lpips is better; + is an improvement)")
    assert "dB" not in verdicts["at 3"].reason


def test_the_table_shows_the_metrics_in_their_order(folder: Path) -> None:
    content = content_of(folder)
    assert list(content.tables["table"].columns[:4]) == [
        "",
        "ours LPIPS",
        "sd",
        "ours PSNR (dB)",
    ]
    assert content.tables["table"].iloc[0, 1] == "0.5001"
    write_report(folder)
    assert "LPIPS 0.5001, PSNR 25.00 dB" in (folder / "report.html").read_text()


def test_a_table_of_levels_is_about_the_metric_of_its_claim(folder: Path) -> None:
    claim = content_index(folder)["report"]["claims"][3]
    report = part("SaturationTable", rows="task", claims=[claim], metrics=["lpips"])
    index = content_index(folder) | {"report": report}
    index["runs"] = [{**run, "cell": {**run["cell"], "task": "t"}} for run in index["runs"]]
    write_json(folder / INDEX, index)
    row = content_of(folder).tables["table"].iloc[0]
    assert (row["levels, ours"], row["lowest mean"], row["at"]) == ("3", "0.3001", "3")


def content_index(folder: Path) -> dict[str, Any]:
    index: dict[str, Any] = json.loads((folder / INDEX).read_text())
    return index


def test_another_metric_saturates_within_a_margin_of_its_own(folder: Path) -> None:
    index = content_index(folder)
    del index["report"]["claims"][3]["margin"]
    write_json(folder / INDEX, index)
    with pytest.raises(UsageError, match="a claim that lpips saturates needs a margin"):
        content_of(folder)


def test_a_metric_is_read_by_the_runs_protocol_where_it_has_one(folder: Path) -> None:
    run = read_run(folder.parent / "1-0")
    assert list(run.scores.columns) == ["psnr", "lpips"]
    assert run.mean("psnr") == pytest.approx(30 - 10 * run.mean("lpips"))


def test_units_and_directions_are_those_of_the_records(folder: Path) -> None:
    results = collect(folder)
    assert results.metric("lpips") == ReportedMetric("lpips", "", higher_is_better=False)
    assert results.metric("psnr") == ReportedMetric("psnr", "dB")
    assert results.metric("undegraded_psnr").title == "undegraded PSNR (dB)"
    assert results.metric("vif") == ReportedMetric("vif", "")


def test_a_metric_that_runs_were_scored_without_leaves_a_claim_open(folder: Path) -> None:
    index = content_index(folder)
    index["report"]["claims"] = [index["report"]["claims"][0] | {"metric": "vif"}]
    index["report"]["metrics"] = ["psnr", "vif"]
    write_json(folder / INDEX, index)
    content = content_of(folder)
    (judged,) = content.verdicts
    assert judged.verdict == "undecided"
    assert judged.reason == "3-0 was scored without vif (but with psnr, lpips)"
    assert set(content.tables["table"]["ours VIF"]) == {"-"}


def test_runs_of_two_evaluations_share_no_table(folder: Path) -> None:
    for place in folder.parent.glob("*-*"):
        write_result(place, read_result(place) | {"evaluation": "0123456789"})
    collect(folder)
    write_result(folder.parent / "1-1", read_result(folder.parent / "1-1") | {"evaluation": "ff"})
    with pytest.raises(UsageError, match="their evaluations differ"):
        collect(folder)
