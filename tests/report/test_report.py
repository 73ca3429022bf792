"""Fixed run directories give the same report, byte for byte; a missing seed shows."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.report.index import INDEX
from ir_lightning.report.judging import Judged
from ir_lightning.report.runs import collect
from ir_lightning.report.write import write_report
from ir_lightning.runs.record import write_result
from tests.helpers.reports import content_of, part

IMAGES = 40
RECORD = {
    "status": "finished",
    "dataset": "rain800",
    "protocol": "rgb8",
    "splits": {"test": {"sha256": "0123456789abcdef"}},
    "images": IMAGES,
    "degraded": {"psnr": 9.116, "ssim": 0.6},
    "budget": "cpu",
    "iterations": 10,
    "parameters": {"generator": 554_400, "discriminator": 0},
    "multiply_adds": 12_345_678_900,
    "device": "cpu",
    "git_commit": "abc",
}
BETTER = part("Difference", a={"method": "unet5"}, b={"method": "pix2pix"}, says="UNet-5 is better")
REPORT: dict[str, Any] = part(
    "ScoreTable",
    rows="method",
    labels={"unet5": "UNet-5", "pix2pix": "pix2pix & co"},
    paper={"unet5": {"rain800": [24.0, 0.8]}, "pix2pix": None},
    claims=[BETTER],
)


def plant(run_dir: Path, psnr: float, seed: int, **record: Any) -> None:
    """A finished run whose images score ``psnr`` on average."""
    write_result(run_dir, RECORD | {"seed": seed} | record)
    image = np.linspace(-1, 1, IMAGES)
    with (run_dir / "test_images.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", "protocol", "restored_psnr", "restored_ssim"])
        for index in range(IMAGES):
            score = psnr + image[index] + 0.01 * np.sin(7 * index + 3 * seed)
            table.writerow([f"{index}.png", "rgb8", score, score / 50])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two methods of four seeds, one of which is missing."""
    runs = []
    for method, psnr in (("unet5", 25.0), ("pix2pix", 24.0)):
        for seed in range(4):
            name = f"{method}-{seed}"
            runs.append({"cell": {"method": method}, "seed": seed, "run": f"../{name}"})
            if (method, seed) != ("pix2pix", 3):
                plant(tmp_path / name, psnr + 0.1 * seed, seed)
    index = {"experiment": "table9", "title": "Table IX", "budget": "cpu", "report": REPORT}
    write_json(tmp_path / "report" / INDEX, {**index, "runs": runs})
    return tmp_path / "report"


MARKDOWN = (
    "|  | paper PSNR (dB) | ours PSNR (dB) | sd | difference | paper SSIM | ours SSIM "
    "| seeds | parameters (M) | multiply-adds (G) |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    "| UNet-5 | 24.00 | 25.15 | 0.13 | +1.15 | 0.8000 | 0.5030 | 4/4 | 0.554 | 12.35 |\n"
    "| pix2pix & co | - | 24.10 | 0.10 | - | - | 0.4820 | 3/4 | 0.554 | 12.35 |\n"
)


def test_the_tables_are_golden(folder: Path) -> None:
    write_report(folder)
    assert (folder / "table.md").read_text() == MARKDOWN
    assert (folder / "table.csv").read_text().splitlines()[1:] == [
        "UNet-5,24.00,25.15,0.13,+1.15,0.8000,0.5030,4/4,0.554,12.35",
        "pix2pix & co,-,24.10,0.10,-,-,0.4820,3/4,0.554,12.35",
    ]
    assert (
        r"pix2pix \& co & - & 24.10 & 0.10 & - & - & 0.4820 & 3/4 & 0.554 & 12.35 \\"
        in (folder / "table.tex").read_text().splitlines()
    )
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_report(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_the_report_says_the_verdict_and_what_it_was_made_of(folder: Path) -> None:
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert "**supported**: UNet-5 is better" in text
    for fact in ("7 of 8 finished", "protocol: rgb8", "iterations: 10", "A small run"):
        assert fact in text


def test_a_figure_is_drawn_the_same_each_time(folder: Path) -> None:
    index = {"experiment": "f", "title": "F", "budget": "cpu"}
    runs = []
    for depth in (1, 2, 3):
        plant(folder.parent / f"d{depth}", 20.0 + depth, 0)
        runs.append({"cell": {"depth": str(depth)}, "seed": 0, "run": f"../d{depth}"})
    report = part("ScoreTable", figure=part("LineFigure", x="depth"))
    write_json(folder / INDEX, {**index, "report": report, "runs": runs})
    write_report(folder)
    drawn = [(folder / f"figure.{form}").read_bytes() for form in ("png", "pdf")]
    write_report(folder)
    assert [(folder / f"figure.{form}").read_bytes() for form in ("png", "pdf")] == drawn
    assert "paper" not in (folder / "table.md").read_text()  # which printed no number


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protocol": "y-matlab"}, "protocol"),
        ({"splits": {"test": {"sha256": "fedcba9876543210"}}}, "test images"),
        ({"budget": "paper"}, "budget"),
        ({"iterations": 11}, "iterations"),
    ],
)
def test_scores_that_do_not_compare_share_no_table(
    change: dict[str, Any], words: str, folder: Path
) -> None:
    plant(folder.parent / "unet5-1", 25.0, 1, **change)
    with pytest.raises(UsageError, match=f"do not compare: their {words} differ"):
        collect(folder)


def test_crops_are_said_and_do_not_compare_with_whole_images(folder: Path) -> None:
    runs = [run.directory for group in collect(folder).groups for run in group.finished]
    for run_dir in runs:
        (run_dir / "config.yaml").write_text("budget:\n  name: cpu\n  evaluation_side: 256\n")
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert f"- test images: {IMAGES}, 256 x 256 pixels of each\n" in text
    assert "- degraded: 9.12 dB (rain800)\n" in text
    (runs[1] / "config.yaml").write_text("budget:\n  name: cpu\n  evaluation_side: null\n")
    with pytest.raises(UsageError, match=r"scored parts of images differ, 256 in .*, whole in"):
        collect(folder)


def claim(folder: Path, *claims: dict[str, Any]) -> list[Judged]:
    """The verdicts on these claims instead of the experiment's own."""
    index = json.loads((folder / INDEX).read_text())
    index["report"]["claims"] = list(claims)
    write_json(folder / INDEX, index)
    return content_of(folder).verdicts


METHODS = {"a": {"method": "unet5"}, "b": {"method": "pix2pix"}}


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("Difference", METHODS), ("NotWorse", METHODS), ("Grows", {"over": "depth"})],
)
def test_a_claim_can_be_about_ssim(kind: str, arguments: dict[str, Any], folder: Path) -> None:
    """Of the planted runs, SSIM is PSNR over 50."""
    index = json.loads((folder / INDEX).read_text())
    for run in index["runs"]:
        run["cell"]["depth"] = "5" if run["cell"]["method"] == "unet5" else "3"
    write_json(folder / INDEX, index)
    psnr, ssim = claim(
        folder,
        part(kind, says="x", **arguments),
        part(kind, says="y", metric="ssim", **arguments),
    )
    assert float(ssim.reason.split()[0]) == pytest.approx(
        float(psnr.reason.split()[0]) / 50, rel=0.01
    )
    assert "dB" in psnr.reason
    assert "dB" not in ssim.reason


def test_growth_is_that_of_the_smallest_step_between_two_levels(folder: Path) -> None:
    """A rise from 0 to 8 and nothing after it: up to 8 quality grows, up to 12 it does not."""
    runs = []
    for layers, psnr in ((0, 20.0), (4, 22.0), (8, 24.0), (12, 24.0)):
        for seed in range(3):
            plant(folder.parent / f"{layers}-{seed}", psnr, seed)
            runs.append({"cell": {"layers": layers}, "seed": seed, "run": f"../{layers}-{seed}"})
    report = part("ScoreTable", figure=part("LineFigure", x="layers"))
    index = {"experiment": "f", "title": "F", "budget": "cpu", "runs": runs, "report": report}
    write_json(folder / INDEX, index)
    grows = part("Grows", over="layers", says="grows")
    verdicts = claim(folder, grows, {**grows, "stop": 8}, {**grows, "start": 4, "stop": 8})
    assert [judged.verdict for judged in verdicts] == ["undecided", "supported", "supported"]
    steps = [float(judged.reason.split()[0]) for judged in verdicts]
    assert steps == pytest.approx([0.0, 0.5, 0.5], abs=0.002)
    assert len(content_of(folder).claims) == 3, "each is shown for itself"


def test_a_claim_about_missing_runs_is_undecided(folder: Path) -> None:
    for seed in (0, 1, 2):
        write_result(folder.parent / f"pix2pix-{seed}", {"status": "failed", "reason": "x"})
    (judged,) = content_of(folder).verdicts
    assert judged.verdict == "undecided"
    assert "1 of 2 cells have no finished run" in judged.reason
    write_report(folder)
    assert (
        "| pix2pix & co | - | - | - | - | - | - | 0/4 | - | - |"
        in (folder / "table.md").read_text()
    )


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no index"):
        write_report(tmp_path)
