"""What is kept of a report: a row per run and per image, drawings, and no photograph."""

import csv
import json
from pathlib import Path

import pytest

from ir_lightning.errors import UsageError
from ir_lightning.report.figures.scores import LineFigure
from ir_lightning.report.index import INDEX
from ir_lightning.report.kept import read_kept
from ir_lightning.report.runs import collect
from ir_lightning.report.write import write_report
from tests.helpers.reports import part
from tests.report.test_report import IMAGES, RECORD, plant

MEASURED = {
    "restored": {"psnr": 21.0, "ssim": 0.5},
    "degraded": {"psnr": 19.0, "ssim": 0.4},
    "seconds": 12.5,
    "threads": 1,
    "config_hash": "0123456789",
    "pretrained": 7,
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


def test_what_was_kept_is_read_as_the_runs_are(folder: Path, tmp_path: Path) -> None:
    """Cells, seeds, scores, scenes and iterations; such a folder says how scores vary."""
    write_report(folder, keep=tmp_path / "kept")
    again, once = read_kept(tmp_path / "kept"), collect(folder)
    assert [group.cell for group in again.groups] == [group.cell for group in once.groups]
    for kept_runs, group in zip(again.groups, once.groups, strict=True):
        assert [*kept_runs.runs] == [seed for seed, run in group.runs.items() if run.finished]
        assert kept_runs.trained_on == group.trained_on
        for run, before in zip(kept_runs.finished, group.finished, strict=True):
            assert run.scenes.to_dict() == before.scenes.to_dict()
            assert run.scores.to_dict() == before.scores.to_dict()
            assert run.iterations == before.iterations == RECORD["iterations"] + 7


@pytest.mark.parametrize("damage", ["", "image\n1.png\n"])
def test_a_folder_that_holds_no_kept_numbers_is_refused(damage: str, tmp_path: Path) -> None:
    if damage:
        (tmp_path / "runs.csv").write_text("seed\n0\n")
        (tmp_path / "images.csv").write_text(damage)
    with pytest.raises(UsageError, match="no numbers of a report that was kept"):
        read_kept(tmp_path)


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
