"""What is kept of a report: a row per run and per image, drawings, and no photograph."""

import csv
import json
from pathlib import Path

import pytest

from ir_lightning.report.figures.scores import LineFigure
from ir_lightning.report.index import INDEX
from ir_lightning.report.write import write_report
from tests.helpers.reports import part
from tests.report.test_report import IMAGES, RECORD, plant

MEASURED = {
    "restored": {"psnr": 21.0, "ssim": 0.5},
    "degraded": {"psnr": 19.0, "ssim": 0.4},
    "seconds": 12.5,
    "threads": 1,
    "config_hash": "0123456789",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two depths with a gallery each; the second has not finished its second seed."""
    runs = []
    for depth in (1, 2):
        for seed in (0, 1):
            place = tmp_path / "runs" / f"{depth}-{seed}"
            runs.append({"cell": {"depth": str(depth)}, "seed": seed, "run": f"../{place.name}"})
            if (depth, seed) != (2, 1):
                plant(place, 20.0 + depth, seed, **MEASURED)
    report = part("ScoreTable", figure=part("LineFigure", x="depth"))
    head = {"experiment": "f", "title": "F", "budget": "cpu", "report": report}
    path = tmp_path / "runs" / "report" / INDEX
    path.parent.mkdir()
    path.write_text(json.dumps(head | {"runs": runs}))
    return path.parent


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_runs_and_images_as_rows(folder: Path, tmp_path: Path) -> None:
    write_report(folder, keep=tmp_path / "kept")
    runs = rows(tmp_path / "kept" / "runs.csv")
    assert [(row["depth"], row["seed"]) for row in runs] == [("1", "0"), ("1", "1"), ("2", "0")]
    for row in runs:
        assert float(row["psnr"]) == 21.0
        assert row["git_commit"] == RECORD["git_commit"]
    images = rows(tmp_path / "kept" / "images.csv")
    assert len(images) == 3 * IMAGES
    first = [float(row["psnr"]) for row in images[:IMAGES]]
    assert sum(first) / IMAGES == pytest.approx(21.0, abs=0.01)


def kept(folder: Path, place: Path) -> set[str]:
    """What a report leaves in the place of what is kept."""
    written = {path.name for path in write_report(folder, keep=place) if path.parent == place}
    assert written == {path.name for path in place.iterdir()}
    return written


def test_drawings_are_kept_and_pictures_are_not(folder: Path, tmp_path: Path) -> None:
    written = kept(folder, tmp_path / "kept")
    assert {"report.md", "table.csv", "figure.png", "figure.pdf"} <= written
    assert "report.html" not in written  # it shows test images


def test_a_figure_that_shows_images_stays_behind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LineFigure, "shows_images", True)
    written = kept(folder, tmp_path / "kept")
    assert "figure.png" not in written
    assert "report.md" in written
