"""Fig. 5: photographs are chosen and enlarged by a rule, pixel by pixel, and judged by numbers."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from ir_lightning.cli.experiment_photographs import with_photographs
from ir_lightning.data.image_files import write_image
from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.inference import load
from ir_lightning.launch.config import load_config
from ir_lightning.launch.run import run
from ir_lightning.report.experiment import Experiment
from ir_lightning.report.kinds.photograph_source import of_test_set, real
from ir_lightning.report.kinds.undegraded import judge_untouched, table
from ir_lightning.report.kinds.zoom import choose, given
from ir_lightning.report.runs import INDEX, CellRuns, Results, read_run
from ir_lightning.report.write import write_report
from ir_lightning.runs.record import write_result
from tests.report.test_report import RECORD

RANDOM = np.random.default_rng(5)
SMALL = [
    *("budget=smoke", "dataset=rain", "generator=unet", "logger=csv", "callbacks=none"),
    *("budget.iterations=1", "budget.evaluation_side=150", "threads=1"),
]


def noise(height: int, width: int) -> np.ndarray:
    """(H, W, 3), uint8."""
    return RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)


# The area.


def test_the_area_is_the_one_of_the_rule_window_by_window() -> None:
    clean = noise(30, 37)
    rainy = np.clip(clean + (RANDOM.random((30, 37, 1)) < 0.4) * 40.0, 0, 255).astype(np.uint8)
    rainy[:9, :12] = np.clip(clean[:9, :12].astype(int) + 2, 0, 255)  # within the tolerance
    grey = clean @ np.array([0.299, 0.587, 0.114])
    down, across = np.gradient(grey)
    degraded = np.abs(rainy.astype(int) - clean).max(axis=2) > 2
    places = [(top, left) for top in range(30 - 8 + 1) for left in range(37 - 8 + 1)]
    windows = [(slice(top, top + 8), slice(left, left + 8)) for top, left in places]
    rain = np.array([degraded[window].mean() for window in windows])
    detail = np.array([np.sqrt(down**2 + across**2)[window].mean() for window in windows])
    allowed = [n for n in range(len(places)) if rain[n] <= np.quantile(rain, 0.1)]
    top, left = places[max(allowed, key=lambda n: detail[n])]
    area = choose(rainy, clean, side=8)
    assert (area.top, area.left, area.side) == (top, left, 8)


def test_on_a_real_photograph_colours_are_preferred_to_streaks() -> None:
    photo = np.full((120, 200, 3), 90, np.uint8)
    photo[20:100, 10:90] = (150, 40, 40)
    photo[20:100:8, 10:90] = (40, 150, 40)  # texture, dark and bright, no white
    for left in range(110, 190, 13):  # streaks: thin, white, steep
        for top in range(120):
            photo[top, left + top // 20] = 220
    area = choose(photo, None, side=48)
    assert area.left + area.side <= 110
    assert area.left < 90
    small = choose(photo[:30, :40], None, side=64)
    assert (small.left, small.side) == (small.left, 30)


@pytest.mark.parametrize("numbers", [[0, 0], ["a", 0, 8], 7, [33, 0, 8], [0, -1, 8], [0, 0, 0]])
def test_an_area_outside_the_photograph_is_refused(numbers: Any) -> None:
    with pytest.raises(UsageError, match=r"1\.jpg.*\[left, top, side\]"):
        given("1.jpg", numbers, noise(30, 40))


# The photographs.


def test_photographs_are_spread_evenly_and_wanted_ones_come_first(tmp_path: Path) -> None:
    for number in range(10):
        write_image(tmp_path / f"{number}.png", noise(12, 20))
    assert [p.name for p in real(tmp_path, 4)] == ["0.png", "3.png", "6.png", "9.png"]
    assert [p.name for p in real(tmp_path, 3, ["5", "7.png"])] == ["5.png", "7.png", "0.png"]
    assert len(real(tmp_path, 99)) == 10
    with pytest.raises(UsageError, match="no photograph 77"):
        real(tmp_path, 3, ["77"])


def test_a_photograph_that_stands_there_twice_is_shown_once(tmp_path: Path) -> None:
    one, other = (
        np.asarray(Image.fromarray(noise(12, 16)).resize((64, 48), Image.Resampling.BICUBIC))
        for _ in range(2)
    )
    Image.fromarray(np.hstack([one, one])).save(tmp_path / "1.jpg", quality=80)
    write_image(tmp_path / "2.png", np.hstack([one, other]))
    write_image(tmp_path / "3.png", np.full((9, 20, 3), 7, np.uint8))
    shapes = [photograph.degraded.shape for photograph in real(tmp_path, 3)]
    assert shapes == [(48, 64, 3), (48, 128, 3), (9, 20, 3)]


def test_the_index_names_test_nature_where_it_is(tmp_path: Path) -> None:
    def folder(photos: Path | None, data: str | None) -> Any:
        chosen = with_photographs(Experiment.named("fig5"), photos, data)
        return chosen.report["photographs"]["folder"]

    assert folder(None, None) is None
    assert folder(None, str(tmp_path)) is None
    (tmp_path / "rain800" / "test_nature").mkdir(parents=True)
    assert folder(None, str(tmp_path)) == str(tmp_path / "rain800" / "test_nature")
    assert folder(tmp_path, str(tmp_path)) == str(tmp_path)


# The number.


def planted(folder: Path, scores: Sequence[Sequence[str]] | None) -> CellRuns:
    """A method whose seeds have these untouched PSNRs; None: scored before there was the column."""
    group = CellRuns({"method": folder.name})
    for seed, row in enumerate(scores or [["1"] * 40] * 2):
        run_dir = folder / str(seed)
        write_result(run_dir, RECORD | {"seed": seed})
        with (run_dir / "test_images.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            head = ["name", "restored_psnr", "restored_ssim"]
            writer.writerow(head + (["untouched_psnr"] if scores else []))
            for number, score in enumerate(row):
                writer.writerow([f"{number}.png", 20, 0.5, *([score] if scores else [])])
        group.runs[seed] = read_run(run_dir)
    return group


def judged(tmp_path: Path, *groups: CellRuns) -> Results:
    """Results of two methods with one claim: the first keeps more than the second."""
    a, b = ({"method": group.cell["method"]} for group in groups)
    claims = [{"kind": "untouched", "a": a, "b": b, "says": "A keeps more"}]
    report = {"kind": "photographs", "rows": "method", "claims": claims}
    return Results(tmp_path, "fig5", "F", "cpu", report, list(groups))


def scores(mean: float, seed: int) -> list[str]:
    """40 images, every fourth of which has no untouched pixel."""
    values = [mean + number / 10 + 0.01 * math.sin(7 * number + 3 * seed) for number in range(40)]
    return ["" if number % 4 == 3 else f"{value}" for number, value in enumerate(values)]


def test_the_claim_is_judged_over_images_that_have_untouched_pixels(tmp_path: Path) -> None:
    better = planted(tmp_path / "a", [scores(31.0, 0), scores(31.1, 1)])
    worse = planted(tmp_path / "b", [scores(30.0, 2), scores(30.1, 3)])
    (claim,) = judge_untouched(results := judged(tmp_path, better, worse))
    assert claim.verdict == "supported"
    (reverse,) = judge_untouched(judged(tmp_path, worse, better))
    assert reverse.verdict == "not supported"
    row = table(results).rows[0]
    expected = np.mean([float(x) for s in (scores(31.0, 0), scores(31.1, 1)) for x in s if x])
    assert row[:3] == ("a", "20.00", f"{expected:.2f}")
    assert row[4:] == ("30/40", "2/2")


def test_runs_without_the_column_leave_the_claim_open(tmp_path: Path) -> None:
    old = planted(tmp_path / "old", None)
    new = planted(tmp_path / "new", [scores(30.0, 2), scores(30.1, 3)])
    results = judged(tmp_path, new, old)
    (claim,) = judge_untouched(results)
    assert claim.verdict == "undecided"
    assert "without the column untouched_psnr" in claim.reason
    assert table(results).rows[1][2] == "-"


def test_an_exact_image_counts_as_rounding_to_8_bits(tmp_path: Path) -> None:
    group = planted(tmp_path / "a", [["inf", "58.0"], ["70.0", "58.0"]])
    rounding = 10 * math.log10(255**2 / (1 / 12))  # a uniform error of half a level has this MSE
    row = table(judged(tmp_path, group, group)).rows[0]
    assert row[2] == f"{(rounding + 58.0) / 2:.2f}"


# The figure.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of two small restorers, one with two levels and one with one."""
    place = tmp_path_factory.mktemp("fig5")
    runs = []
    for depth in (1, 2):
        overrides = [*SMALL, f"depth={depth}", f"paths.runs={place}", f"run_dir={place}/d{depth}"]
        run(load_config(overrides), overrides)
        runs.append({"cell": {"method": f"d{depth}"}, "seed": 0, "run": f"../d{depth}"})
    report = {**Experiment.named("fig5").report, "labels": {}}
    report["photographs"] = {**report["photographs"], "folder": None, "side": 48}
    report["claims"] = [
        {"kind": "untouched", "a": {"method": "d1"}, "b": {"method": "d2"}, "says": "D"}
    ]
    index = {"experiment": "fig5", "title": "Fig. 5", "budget": "smoke", "report": report}
    write_json(place / "report" / INDEX, {**index, "runs": runs})
    return place / "report"


def test_without_real_photographs_the_runs_test_images_are_restored(folder: Path) -> None:
    written = write_report(folder)
    assert {path.name for path in written} >= {"figure.png", "figure.pdf", "table.md", "report.md"}
    what, shown = of_test_set(read_run(folder.parent / "d1"), 99)
    assert what == "synthetic test images of rain, not real photographs"
    with (folder.parent / "d1" / "test_images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [photo.name for photo in shown] == [row["name"] for row in rows]
    photo, scored = shown[0], rows[0]
    assert photo.clean is not None
    error = (photo.degraded.astype(float) - photo.clean) ** 2
    psnr = 10 * math.log10(255**2 / error.mean())
    assert psnr == pytest.approx(float(scored["degraded_psnr"]), abs=1e-6)


def test_the_figure_shows_the_pixels_and_the_report_the_change(
    folder: Path, tmp_path: Path
) -> None:
    photo = noise(70, 90)
    write_image(tmp_path / "a.png", photo)
    report = yaml.safe_load((folder / INDEX).read_text())
    write_report(folder, tmp_path)
    first = (folder / "figure.png").read_bytes()
    area = choose(photo, None, 48)
    place = np.s_[area.top : area.top + 48, area.left : area.left + 48]
    text = (folder / "report.md").read_text()
    drawn = np.asarray(Image.open(folder / "figure.png").convert("RGB"))
    assert shows(drawn, photo[place])
    for depth in (1, 2):
        restored = load(folder.parent / f"d{depth}", "cpu")(photo)[place]
        change = np.abs(restored.astype(float) - photo[place]).mean()
        assert f"{change:.2f} by d{depth}" in text
        assert shows(drawn, restored)
    assert not shows(drawn, noise(48, 48))
    assert "a.png, 48 x 48 at" in text
    assert "48 x 48" in text
    assert yaml.safe_load((folder / INDEX).read_text()) == report
    write_report(folder, tmp_path)
    assert (folder / "figure.png").read_bytes() == first


def test_an_area_of_the_experiments_file_is_taken(folder: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "1.png", noise(40, 60))
    index = yaml.safe_load((folder / INDEX).read_text())
    index["report"]["photographs"] |= {"folder": str(tmp_path), "areas": {1: [5, 6, 20]}}
    index["runs"] = [entry | {"run": f"../{entry['run']}"} for entry in index["runs"]]
    by_hand = folder / "by_hand"
    write_json(by_hand / INDEX, index)
    write_report(by_hand)
    assert "1.png, 20 x 20 at (5, 6): grey levels changed " in (by_hand / "report.md").read_text()


def shows(drawn: np.ndarray, area: np.ndarray) -> bool:
    """Whether a picture shows 48 x 48 pixels as squares of 4 x 4 somewhere."""
    large = area.repeat(4, axis=0).repeat(4, axis=1)
    tops, lefts = np.nonzero((drawn == area[0, 0]).all(axis=2))
    return any(
        np.array_equal(drawn[top : top + 192, left : left + 192], large)
        for top, left in zip(tops, lefts, strict=True)
    )


def test_photographs_that_are_gone_are_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--photos"):
        write_report(folder, tmp_path / "gone")
