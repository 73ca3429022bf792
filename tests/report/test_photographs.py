"""Fig. 5: photographs are chosen and enlarged by a rule, pixel by pixel, and judged by numbers."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ir_lightning.cli import main
from ir_lightning.cli.steps.photographs import of_test_set, real
from ir_lightning.cli.steps.zoom import choose, given
from ir_lightning.data.image_files import write_image
from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.inference import load
from ir_lightning.launch.config import load_config
from ir_lightning.launch.run import run
from ir_lightning.report.content import Content
from ir_lightning.report.experiment import Experiment
from ir_lightning.report.index import INDEX
from ir_lightning.report.kinds.photograph_table import PHOTOGRAPHS
from ir_lightning.report.runs import read_run
from ir_lightning.report.write import write_report
from ir_lightning.runs.record import write_result
from ir_lightning.runs.scores import read_scores
from tests.helpers.reports import content_of, part
from tests.report.test_report import RECORD

pytestmark = pytest.mark.slow

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


# The number.


def plant_method(folder: Path, scores: Sequence[Sequence[str]] | None) -> dict[str, Any]:
    """A method whose seeds have these undegraded PSNRs; None: scored before there was the metric.

    Returns:
        Its cell.
    """
    for seed, row in enumerate(scores or [["1"] * 40] * 3):
        run_dir = folder / str(seed)
        write_result(run_dir, RECORD | {"seed": seed})
        with (run_dir / "test_images.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            head = ["name", "protocol", "restored_psnr", "restored_ssim"]
            writer.writerow(head + (["untouched_psnr"] if scores else []))
            for number, score in enumerate(row):
                more = [score] if scores else []
                writer.writerow([f"{number}.png", "rgb8", 20, 0.5, *more])
    return {"method": folder.name}


def judged(tmp_path: Path, a: dict[str, Any], b: dict[str, Any]) -> Content:
    """The report on two methods with one claim: the first keeps more than the second."""
    claims = [part("KeepsUndegraded", a=a, b=b, says="A keeps more")]
    report = part("PhotographTable", rows="method", claims=claims)
    runs = [
        {"cell": cell, "seed": seed, "run": f"../{cell['method']}/{seed}"}
        for cell in ([a] if a == b else [a, b])
        for seed in (0, 1, 2)
    ]
    index = {"experiment": "fig5", "title": "F", "budget": "cpu", "report": report, "runs": runs}
    write_json(tmp_path / "report" / INDEX, index)
    return content_of(tmp_path / "report")


def scores(mean: float, seed: int) -> list[str]:
    """40 images, every fourth of which has no undegraded pixel."""
    values = [mean + number / 10 + 0.01 * math.sin(7 * number + 3 * seed) for number in range(40)]
    return ["" if number % 4 == 3 else f"{value}" for number, value in enumerate(values)]


def test_the_claim_is_judged_over_images_that_have_undegraded_pixels(tmp_path: Path) -> None:
    better = plant_method(tmp_path / "a", [scores(31.0, 0), scores(31.1, 1), scores(31.0, 4)])
    worse = plant_method(tmp_path / "b", [scores(30.0, 2), scores(30.1, 3), scores(30.0, 5)])
    content = judged(tmp_path, better, worse)
    assert content.verdicts[0].verdict == "supported"
    assert content.verdicts[0].reason.startswith("+1 dB [")
    assert judged(tmp_path, worse, better).verdicts[0].verdict == "not supported"
    row = list(content.tables["table"].iloc[0])
    expected = np.mean(
        [float(x) for s in (scores(31.0, 0), scores(31.1, 1), scores(31.0, 4)) for x in s if x]
    )
    assert row[:3] == ["method=a", "20.00", f"{expected:.2f}"]
    assert row[4:] == ["30/40", "3/3"]


def test_runs_without_the_metric_leave_the_claim_open(tmp_path: Path) -> None:
    old = plant_method(tmp_path / "old", None)
    new = plant_method(tmp_path / "new", [scores(30.0, 2), scores(30.1, 3), scores(30.0, 5)])
    content = judged(tmp_path, new, old)
    assert content.verdicts[0].verdict == "undecided"
    assert "was scored without undegraded_psnr" in content.verdicts[0].reason
    assert content.tables["table"].iloc[1, 2] == "-"


def test_an_exact_image_counts_as_rounding_to_8_bits(tmp_path: Path) -> None:
    cell = plant_method(tmp_path / "a", [["inf", "58.0"], ["70.0", "58.0"]])
    rounding = 10 * math.log10(255**2 / (1 / 12))  # a uniform error of half a level has this MSE
    row = judged(tmp_path, cell, cell).tables["table"].iloc[0]
    assert row.iloc[2] == f"{(rounding + 58.0) / 2:.2f}"


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
    experiment = Experiment.named("fig5")
    claim = part("KeepsUndegraded", a={"method": "d1"}, b={"method": "d2"}, says="D")
    index = {"experiment": "fig5", "title": "Fig. 5", "budget": "smoke", "runs": runs}
    index |= {"datasets": {"rain800": "rain"}, "dataset": "synthetic", "overrides": []}
    index["prepare"] = {**(experiment.prepare or {}), "side": 48}
    index["report"] = {**experiment.report, "labels": {}, "claims": [claim]}
    write_json(place / "report" / INDEX, index)
    return place / "report"


def report(*arguments: object) -> None:
    """Run `ir-lightning report`."""
    with pytest.raises(SystemExit) as end:
        main(["report", *map(str, arguments), "--wandb", "off"])
    assert end.value.code == 0


def restored(folder: Path) -> list[dict[str, Any]]:
    """What the step before the report has left."""
    photographs: list[dict[str, Any]] = json.loads((folder / PHOTOGRAPHS).read_text())[
        "photographs"
    ]
    return photographs


def test_without_real_photographs_the_runs_test_images_are_restored(folder: Path) -> None:
    report(folder)
    names = {path.name for path in folder.iterdir()}
    assert names >= {"figure.png", "figure.pdf", "table.md", "report.md"}
    what, shown = of_test_set(read_run(folder.parent / "d1"), 99)
    assert what == "synthetic test images of rain, not real photographs"
    scored = read_scores(folder.parent / "d1")
    assert [photo.name for photo in shown] == list(scored["image"].unique())
    photo = shown[0]
    assert photo.clean is not None
    error = (photo.degraded.astype(float) - photo.clean) ** 2
    psnr = 10 * math.log10(255**2 / error.mean())
    first = scored.query("metric == 'psnr' and kind == 'degraded' and protocol == 'rgb8'").iloc[0]
    assert psnr == pytest.approx(first["value"], abs=1e-6)
    assert "of it undegraded: grey levels changed" in (folder / "report.md").read_text()


def test_photographs_are_restored_by_a_step_and_the_report_only_reads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(folder)
    first = (folder / "figure.png").read_bytes()
    monkeypatch.setattr("ir_lightning.cli.steps.photographs.load", None)  # nothing is restored
    report(folder)
    write_report(folder)
    assert (folder / "figure.png").read_bytes() == first
    (folder / "prepared.json").unlink()
    with pytest.raises(TypeError):
        main(["report", str(folder), "--wandb", "off"])
    monkeypatch.undo()
    write_report(folder)
    assert "No photograph has been restored yet." in (folder / "report.md").read_text()
    report(folder)
    assert (folder / "figure.png").read_bytes() == first


def test_the_figure_shows_the_pixels_and_the_report_the_change(
    folder: Path, tmp_path: Path
) -> None:
    photo = noise(70, 90)
    write_image(tmp_path / "a.png", photo)
    index = (folder / INDEX).read_text()
    report(folder, "--photos", tmp_path)
    first = (folder / "figure.png").read_bytes()
    square = choose(photo, None, 48)
    place = np.s_[square.top : square.top + 48, square.left : square.left + 48]
    text = (folder / "report.md").read_text()
    drawn = np.asarray(Image.open(folder / "figure.png").convert("RGB"))
    assert shows(drawn, photo[place])
    for depth in (1, 2):
        pixels = load(folder.parent / f"d{depth}", "cpu")(photo)[place]
        change = np.abs(pixels.astype(float) - photo[place]).mean()
        assert f"{change:.2f} by method=d{depth}" in text
        assert shows(drawn, pixels)
    assert not shows(drawn, noise(48, 48))
    assert "a.png, 48 x 48 at" in text
    assert (folder / INDEX).read_text() == index
    report(folder, "--photos", tmp_path)
    assert (folder / "figure.png").read_bytes() == first


def test_a_square_of_the_experiments_file_is_taken(folder: Path, tmp_path: Path) -> None:
    """By an index of an earlier version, whose settings are translated."""
    write_image(tmp_path / "1.png", noise(40, 60))
    runs = json.loads((folder / INDEX).read_text())["runs"]
    settings = {"below_data": "x", "count": {"smoke": 1}, "side": 48}
    settings |= {"folder": str(tmp_path), "areas": {"1": [5, 6, 20]}}
    claim = {"kind": "untouched", "a": {"method": "d1"}, "b": {"method": "d2"}, "says": "D"}
    former = {"kind": "photographs", "rows": "method", "photographs": settings, "claims": [claim]}
    index = {"experiment": "fig5", "title": "Fig. 5", "budget": "smoke", "report": former}
    index["runs"] = [entry | {"run": f"../{entry['run']}"} for entry in runs]
    by_hand = folder / "by_hand"
    write_json(by_hand / INDEX, index)
    report(by_hand)
    assert "1.png, 20 x 20 at (5, 6): grey levels changed " in (by_hand / "report.md").read_text()
    assert restored(by_hand)[0]["by_hand"]


def test_photographs_of_the_data_folder_are_preferred(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "rain800" / "test_nature" / "7.png", noise(60, 60))
    monkeypatch.setenv("IR_LIGHTNING_DATA", str(tmp_path))
    (folder / "prepared.json").unlink(missing_ok=True)
    report(folder)
    assert [photo["name"] for photo in restored(folder)] == ["7.png"]
    (folder / "prepared.json").unlink()


def shows(drawn: np.ndarray, area: np.ndarray) -> bool:
    """Whether a picture shows 48 x 48 pixels as squares of 4 x 4 somewhere."""
    large = area.repeat(4, axis=0).repeat(4, axis=1)
    tops, lefts = np.nonzero((drawn == area[0, 0]).all(axis=2))
    return any(
        np.array_equal(drawn[top : top + 192, left : left + 192], large)
        for top, left in zip(tops, lefts, strict=True)
    )


def test_photographs_that_are_gone_are_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["prepare"]["folder"] = str(tmp_path / "gone")
    index["runs"] = [entry | {"run": f"../{entry['run']}"} for entry in index["runs"]]
    write_json(folder / "gone" / INDEX, index)
    with pytest.raises(SystemExit) as end:
        main(["report", str(folder / "gone")])
    assert end.value.code == 2
    assert "give their folder by --photos" in capsys.readouterr().err
