"""What would make a verdict untrue is told, and yields none."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.report.index import INDEX
from ir_lightning.report.runs import collect, matrices
from ir_lightning.report.write import write_report
from ir_lightning.runs.record import CEILING, mean_score, read_result, write_result
from ir_lightning.runs.scores import read_scores, write_scores
from tests.helpers.reports import content_of, part
from tests.report.test_report import RECORD

BETTER = part("Difference", a={"method": "a"}, b={"method": "b"}, says="A is better")
SEEDS = 3


def plant(
    root: Path,
    gains: Mapping[str, float],
    scenes: int = 20,
    files: int = 1,
    records: Mapping[str, Mapping[str, Any]] | None = None,
    exact: int = 0,
    claim: Mapping[str, Any] = BETTER,
) -> Path:
    """A report on methods that gain dB over 20 dB; the first ``exact`` images are perfect."""
    random, runs = np.random.default_rng(0), []
    for method, gain in gains.items():
        for seed in range(SEEDS):
            place = root / f"{method}-{seed}"
            own = (records or {}).get(method, {})
            known = {"seed": seed, "degraded": {"psnr": 20.0}, "images": scenes * files}
            write_result(place, RECORD | known | own)
            rows = []
            for scene in range(scenes):
                for file in range(files):
                    name = f"{scene}-{file}"
                    value = 20 + gain + scene / scenes + random.normal(0, 0.01)
                    value = float("inf") if len(rows) < exact else value
                    about = {"image": name, "scene": str(scene), "dataset": "rain800"}
                    rows.append(about | {"metric": "psnr", "protocol": "rgb8", "kind": "restored"})
                    rows[-1]["value"] = value
            write_scores(place, rows)
            runs.append({"cell": {"method": method}, "seed": seed, "run": f"../{place.name}"})
    report = part("ScoreTable", metrics=["psnr"], claims=[dict(claim)])
    index = {"experiment": "t", "title": "T", "budget": "cpu", "report": report, "runs": runs}
    write_json(root / "report" / INDEX, index)
    return root / "report"


def test_a_true_difference_is_supported(tmp_path: Path) -> None:
    (judged,) = content_of(plant(tmp_path, {"a": 3.0, "b": 2.0})).verdicts
    assert judged.verdict == "supported"
    assert "sees" in judged.reason


@pytest.mark.parametrize(("scenes", "files"), [(2, 30), (4, 10)])
def test_many_files_of_few_scenes_are_few(scenes: int, files: int, tmp_path: Path) -> None:
    (judged,) = content_of(plant(tmp_path, {"a": 3.0, "b": 2.0}, scenes, files)).verdicts
    assert (judged.verdict, judged.reason) == (
        "undecided",
        f"{scenes} scenes: a verdict takes at least 5",
    )


def test_what_is_counted_and_printed_are_scenes(tmp_path: Path) -> None:
    """One more file of the first scene moves the mean over files, and that over scenes hardly."""
    folder = plant(tmp_path, {"a": 3.0, "b": 2.0}, scenes=10, files=3)
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert "- test images: 30\n- scenes: 10\n" in text


def test_networks_that_have_not_passed_their_input_are_not_compared(tmp_path: Path) -> None:
    (judged,) = content_of(plant(tmp_path, {"a": 3.0, "b": -1.2})).verdicts
    assert judged.verdict == "undecided"
    assert judged.reason.startswith("not trained: 1 of 2 cells have not passed the degraded input")
    assert "0.5 dB" in judged.reason
    folder = plant(tmp_path / "asked", {"a": 3.0, "b": -1.2}, claim=BETTER | {"gain": None})
    assert content_of(folder).verdicts[0].verdict == "supported"


@pytest.mark.parametrize("more", [{"iterations": 20}, {"pretrained": 10}])
def test_trainings_of_unequal_length_are_not_compared(more: dict[str, int], tmp_path: Path) -> None:
    """Also where a run began with what another one had learned."""
    other = {"a": more | {"dataset": "other"}}
    (judged,) = content_of(plant(tmp_path, {"a": 3.0, "b": 2.0}, records=other)).verdicts
    assert judged.verdict == "undecided"
    assert judged.reason == "trained differently long: 10 and 20 iterations in all"


def test_an_exact_image_stops_nothing_and_is_counted(tmp_path: Path) -> None:
    folder = plant(tmp_path, {"a": 3.0, "b": 2.0}, exact=1)
    content = content_of(folder)
    assert content.verdicts[0].verdict == "supported"
    write_report(folder)
    assert "images that count as 58.92 dB: 6\n" in (folder / "report.md").read_text()


def test_an_exact_image_chooses_nothing() -> None:
    """It is better than an image that is nearly exact, and no mean is infinite."""
    exact, near = float("inf"), 70.0
    assert mean_score("psnr", [exact, 30.0, 30.0]) == pytest.approx((CEILING + 60) / 3)
    assert mean_score("psnr", [exact, near]) == mean_score("psnr", [near, near]) == CEILING
    assert mean_score("vif", [exact, 1.0]) == exact, "only of a PSNR is the ceiling known"
    assert f"{CEILING:.2f}" == "58.92"


@pytest.mark.parametrize(
    ("curve", "verdict", "best"),
    [
        ((1.0, 3.0, 2.0, 1.5), "supported", "2"),
        ((1.0, 1.5, 2.0, 2.0), "undecided", "3"),
        ((1.0, 1.5, 2.0, 3.0), "not supported", "3"),
    ],
)
def test_a_peak_is_found_and_not_fixed(
    curve: tuple[float, ...], verdict: str, best: str, tmp_path: Path
) -> None:
    gains = {str(level): gain for level, gain in enumerate(curve, 1)}
    claim = part("FallsFromPeak", over="method", says="it falls")
    (judged,) = content_of(plant(tmp_path, gains, claim=claim)).verdicts
    assert judged.verdict == verdict
    assert judged.reason.startswith(f"method = {best} is best, by ")
    assert "as the best of 3" in judged.reason


def test_cells_that_differ_by_less_than_the_margin_are_equivalent(tmp_path: Path) -> None:
    claim = BETTER | part("Equivalent", margin=0.2)
    (judged,) = content_of(plant(tmp_path, {"a": 3.0, "b": 3.05}, claim=claim)).verdicts
    assert judged.verdict == "supported"
    (judged,) = content_of(plant(tmp_path, {"a": 3.0, "b": 3.5}, claim=claim)).verdicts
    assert judged.verdict == "not supported"


def test_cells_are_compared_on_the_images_that_both_have_scores_for(tmp_path: Path) -> None:
    """In whatever order, and where a metric is not defined for the same number of others."""
    folder = plant(tmp_path, {"a": 3.0, "b": 2.0}, scenes=8)
    for method, undefined in (("a", "0-0"), ("b", "7-0")):
        for seed in range(SEEDS):
            place = tmp_path / f"{method}-{seed}"
            table = read_scores(place)
            table.loc[table["image"] == undefined, "value"] = np.nan
            write_scores(place, table[::-1] if method == "b" else table)
    (judged,) = content_of(folder).verdicts
    assert judged.verdict == "supported"
    assert float(judged.reason.split()[0]) == pytest.approx(1.0, abs=0.02)
    a, b = (group.by_image("psnr") for group in collect(folder).groups)
    assert (len(a), len(b)) == (7, 7)
    assert [m.shape for m in matrices(collect(folder).groups, "psnr")] == [(SEEDS, 6)] * 2


def test_half_of_the_iterations_before_and_half_after_are_as_many(tmp_path: Path) -> None:
    """A run that began with another one's weights is compared, and stands in a table, by both."""
    halves = {"a": {"iterations": 5, "pretrained": 5}}
    (judged,) = content_of(plant(tmp_path, {"a": 3.0, "b": 2.0}, records=halves)).verdicts
    assert judged.verdict == "supported"
    with pytest.raises(UsageError, match="their iterations differ, 11 in a-0, 10 in b-0"):
        content_of(plant(tmp_path, {"a": 3.0, "b": 2.0}, records={"a": {"iterations": 11}}))


@pytest.mark.parametrize(("best", "verdict"), [(5.0, "supported"), (15.0, "not supported")])
def test_the_best_of_all_cells_falls_short(best: float, verdict: str, tmp_path: Path) -> None:
    claim = part("AllFallShort", of=30.0, says="none is complete")
    (judged,) = content_of(plant(tmp_path, {"a": best, "b": 2.0}, claim=claim)).verdicts
    assert judged.verdict == verdict
    assert judged.reason.endswith("(short of 30)")
    assert float(judged.reason.split()[0]) == pytest.approx(30 - 20 - best - 0.475, abs=0.01)


MEAN = part("MeanDifference", a={"method": "a"}, b={"method": "b"}, over="dataset", says="A")


def on_both(root: Path, claim: Mapping[str, Any], gains: Mapping[str, float]) -> Path:
    """A report on two data sets, on each of which A gains so much, and B 2 dB."""
    runs: list[dict[str, Any]] = []
    for dataset, gain in gains.items():
        own = {method: {"dataset": dataset} for method in "ab"}
        folder = plant(root / dataset, {"a": gain, "b": 2.0}, records=own, claim=claim)
        index = json.loads((folder / INDEX).read_text())
        for entry in index["runs"]:
            entry["cell"]["dataset"] = dataset
            entry["run"] = str(root / dataset / Path(entry["run"]).name)
        write_json(folder / INDEX, index)
        assert content_of(folder).verdicts == [], "it is no average of one"
        runs += index["runs"]
    write_json(folder / INDEX, index | {"runs": runs})
    return folder


def test_an_average_over_data_sets_is_no_claim_about_one(tmp_path: Path) -> None:
    """On one of two data sets A is better, on the other it is worse by less."""
    (judged,) = content_of(on_both(tmp_path, MEAN, {"rain800": 3.0, "reside": 1.6})).verdicts
    assert judged.verdict == "supported"
    assert float(judged.reason.split()[0]) == pytest.approx((1.0 - 0.4) / 2, abs=0.01)


def test_lengths_differ_between_data_sets_and_not_within_one(tmp_path: Path) -> None:
    """With a budget of epochs; one of the two methods may begin with another's weights."""
    folder = on_both(tmp_path, MEAN, {"rain800": 3.0, "reside": 1.6})
    for place, more in (("reside/a-0", {"iterations": 20}), ("rain800/a-0", {"pretrained": 10})):
        for seed in range(SEEDS):
            for method in "ab":
                run = tmp_path / place.replace("a-0", f"{method}-{seed}")
                if method == "a" or "iterations" in more:
                    write_result(run, read_result(run) | more)
    assert len(collect(folder).groups) == 4
