"""The page says what table.md says, loads nothing, and the same runs give the same bytes."""

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from ir_lightning.data.image_files import read_image, write_image
from ir_lightning.report.content import NamedCell
from ir_lightning.report.figures.training_curves import draw_curves, mean_curve
from ir_lightning.report.page.html import portable
from ir_lightning.report.page.pictures import Album, FullError, centre, choose_pictures
from ir_lightning.report.runs import ReportedMetric, read_curves
from ir_lightning.report.write import open_report, write_report
from tests.helpers.planting import plant_curve, plant_experiment, plant_gallery
from tests.helpers.reports import part
from tests.report.test_report import REPORT, plant

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """The tags of a page with their attributes, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data if not self.tags or self.tags[-1][0] not in ("script", "style") else ""

    def all(self, attribute: str) -> list[str]:
        """The values of an attribute wherever it stands."""
        return [found[attribute] for _, found in self.tags if attribute in found]

    @property
    def sliders(self) -> list[list[list[Any]]]:
        """The versions of each slider."""
        return [json.loads(versions) for versions in self.all("data-versions")]


METRICS = (ReportedMetric("psnr", "dB"), ReportedMetric("ssim", ""))


def cells_of(folder: Path) -> list[NamedCell]:
    report, results = open_report(folder)
    return report.cells(results)


def written(folder: Path) -> str:
    write_report(folder)
    return (folder / "report.html").read_text("utf-8")


def test_every_number_of_the_table_is_on_the_page(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path)
    text = written(folder)
    cells = re.findall(r"<t[hd][^>]*>([^<]*)", text)
    for line in (folder / "table.md").read_text().splitlines()[2:]:
        expected = [part.strip() for part in line.strip("|").split("|")]
        expected = [part for part in expected if part]
        rows = "\n".join(unescape(cell) for cell in cells)
        assert "\n".join(expected) in rows
    assert "3/4" in cells


def test_claims_facts_and_the_warning_are_on_the_page(tmp_path: Path) -> None:
    page = Page(written(plant_experiment(tmp_path)))
    assert ("span", {"class": "badge supported"}) in page.tags
    claim = ("UNet-5 is better", "dB [", "against 0")
    for words in (*claim, "7 of 8 finished", "rgb8", "A small run"):
        assert words in page.words


def test_the_same_runs_elsewhere_give_the_same_bytes(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path / "here", asked=["depth=5", f"paths.runs={tmp_path}/runs"])
    first = written(folder)
    assert written(folder) == first
    shutil.copytree(tmp_path / "here", tmp_path / "far" / "away")
    assert written(tmp_path / "far" / "away" / "report") == first
    assert str(tmp_path) not in first
    assert "paths.runs=…/runs" in first


def test_nothing_is_loaded_from_outside(tmp_path: Path) -> None:
    text = written(plant_experiment(tmp_path))
    page = Page(text)
    assert not {"iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    assert all(value.startswith("data:") for value in page.all("src"))
    assert [v for tag, v in page.tags if tag == "link"] == [{"rel": "icon", "href": "data:,"}]
    assert not re.search(r"url\(|@import|https?://", text)
    (policy,) = [value for value in page.all("content") if "default-src" in value]
    assert "default-src 'none'" in policy


def test_links_are_relative_and_lead_to_files(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path)
    addresses = [v["href"] for tag, v in Page(written(folder)).tags if tag == "a"]
    runs = [address for address in addresses if not address.startswith("#")]
    assert len(runs) == 7 * 4
    for address in runs:
        assert address.startswith("../runs/")
        assert (folder / unquote(address)).is_file()


def test_every_run_is_listed_with_what_it_was_made_with(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path, config_hash="fedcba9876", versions={"torch": "2.13.0"})
    shutil.rmtree(tmp_path / "runs" / "method=unet5,seed=1-0123456789")
    page = Page(written(folder))
    assert page.words.count("not begun") == 2
    assert page.words.count("fedcba9876") == page.words.count("torch 2.13.0") == 6
    assert page.words.count("25.00 dB, SSIM 0.5000") == 1


def test_whatever_runs_say_is_escaped(tmp_path: Path) -> None:
    evil = "</script><script>alert('x')</script><img src=x onerror='alert(1)'>"
    labels = {"unet5": evil, "pix2pix": "'\"><b>"}
    report = REPORT | {"labels": labels, "claims": [REPORT["claims"][0] | {"says": evil}]}
    folder = plant_experiment(tmp_path, report=report, asked=[evil], device=evil)
    for run_dir in (tmp_path / "runs").iterdir():
        plant_gallery(run_dir, 0, name=evil + "{}")
    text = written(folder)
    page = Page(text)
    assert "alert" not in "".join(page.all("onerror"))
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert evil not in text
    assert evil in page.words
    assert page.sliders[0][2][0] == f"{evil} (seed 0)"


def test_without_galleries_or_curves_there_is_still_a_page(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path, galleries=False)
    for curve in (tmp_path / "runs").glob("*/metrics.csv"):
        curve.write_text("iteration,val/psnr\n10,not a number\n")
    page = Page(written(folder))
    assert page.sliders == []
    assert not {"compare", "extremes", "curves"} & set(page.all("id"))
    assert {"claims", "numbers", "runs"} <= set(page.all("id"))


def test_an_experiment_that_has_not_begun_has_a_page(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path)
    shutil.rmtree(tmp_path / "runs")
    assert "0 of 8 finished" in Page(written(folder)).words


def test_cells_are_compared_on_the_first_image(tmp_path: Path) -> None:
    sliders = Page(written(plant_experiment(tmp_path))).sliders
    compare, *extremes = sliders
    assert [version[0] for version in compare] == [
        "degraded",
        "clean",
        "UNet-5 (seed 0)",
        "pix2pix & co (seed 0)",
    ]
    assert [version[1] for version in compare[:3]] == [
        "PSNR 12.34 dB, SSIM 0.1230",
        "",
        "PSNR 48.45 dB, SSIM 0.4560",
    ]
    assert [[version[0] for version in slider] for slider in extremes] == [
        ["degraded", "restored", "clean"]
    ] * 4
    assert extremes[0][0][2] == extremes[2][0][2], "the same degraded image is kept once"
    assert extremes[0][1][2] != extremes[2][1][2]


def test_a_broken_or_foreign_picture_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path)
    gallery = tmp_path / "runs" / "method=unet5,seed=0-0123456789" / "images" / "gallery"
    (gallery / "1-clean.png").write_bytes(b"no picture")
    entries = json.loads((gallery / "gallery.json").read_text())
    write_image(gallery.parent / "2-restored.png", np.zeros((60, 80, 3), np.uint8))
    (gallery / "2-restored.png").unlink()
    entries[2]["files"]["restored"] = "../2-restored.png"
    (gallery / "gallery.json").write_text(json.dumps([*entries, {"name": "no entry"}, 3]))
    page = Page(written(folder))
    assert "2 pictures could not be read" in page.words
    assert len(page.sliders) == 1 + 2


def test_crops_are_cut_not_resized_and_smaller_before_any_is_left_out(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path, galleries=False)
    for number, run_dir in enumerate(sorted((tmp_path / "runs").iterdir())):
        plant_gallery(run_dir, number, size=(300, 600))
    cells = cells_of(folder)
    large = choose_pictures(cells, METRICS)
    assert (large.album.side, set(large.album.sizes)) == (512, {(512, 300)})
    used = sum(len(uri) for uri in large.album.pictures)
    smaller = choose_pictures(cells, METRICS, limit=used - 1)
    assert (smaller.album.side, set(smaller.album.sizes)) == (384, {(384, 300)})
    assert smaller.left_out == 0
    few = choose_pictures(cells, METRICS, limit=used // 10)
    assert few.album.side == 256
    assert few.left_out > 0
    assert sum(len(uri) for uri in few.album.pictures) <= used // 10


def test_the_middle_of_a_picture_is_cut_out() -> None:
    image = np.arange(10 * 7 * 3, dtype=np.uint8).reshape(10, 7, 3)
    assert np.array_equal(centre(image, 4), image[3:7, 1:5])
    assert np.array_equal(centre(image, 100), image)


def test_an_album_that_is_full_keeps_what_it_has(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", noise)
    write_image(tmp_path / "b.png", 255 - noise)
    album = Album(64, limit=20_000)
    album.add([tmp_path / "a.png"])
    album.limit = len(album.pictures[0]) + 1
    with pytest.raises(FullError):
        album.add([tmp_path / "a.png", tmp_path / "b.png"])
    assert album.add([tmp_path / "a.png"]) == [0]
    assert len(album.pictures) == 1
    assert np.array_equal(read_image(tmp_path / "a.png"), noise)


def test_curves_are_means_over_seeds_where_all_have_values(tmp_path: Path) -> None:
    runs = []
    for seed, last in ((0, 100), (1, 150)):
        plant(tmp_path / str(seed), 20, seed)
        plant_curve(tmp_path / str(seed), 20.0 + 2 * seed, last)
        runs.append(read_curves(tmp_path / str(seed)))
    mean = mean_curve([curves["val/psnr"].dropna() for curves in runs])
    assert mean.to_dict() == {50: 21.5, 100: 22}


def test_many_points_become_few_means() -> None:
    mean = mean_curve([pd.Series(np.arange(300.0) % 10, index=np.arange(300.0))])
    assert len(mean) == 30
    assert np.allclose(mean, 4.5)


@pytest.mark.parametrize(
    ("values", "drawings"),
    [
        (range(7), 1),  # colours
        (range(8), 1),  # from dark to light
        (["none", *range(7)], 8),  # one for each
    ],
)
def test_more_than_seven_curves_are_drawn_readably(
    values: list[Any], drawings: int, tmp_path: Path
) -> None:
    folder = plant_experiment(tmp_path)
    index = json.loads((folder / "experiment.json").read_text())
    run = index["runs"][0]["run"]
    index["report"] = part("ScoreTable")
    index["runs"] = [{"cell": {"depth": str(v)}, "seed": 0, "run": run} for v in values]
    (folder / "experiment.json").write_text(json.dumps(index))
    drawn = draw_curves(cells_of(folder), ReportedMetric("psnr", "dB"))
    assert len(drawn) == 2 * drawings
    assert "At the end: depth=" in drawn[0].says
    assert "26.00" in drawn[0].says


def test_cells_with_the_same_label_are_called_by_all_their_values(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path)
    index = json.loads((folder / "experiment.json").read_text())
    for number, run in enumerate(index["runs"][:2]):
        run["cell"]["depth"] = str(number)
    (folder / "experiment.json").write_text(json.dumps(index))
    labels = [cell.label for cell in cells_of(folder)]
    assert labels[:2] == ["method=unet5, depth=0", "method=unet5, depth=1"]
    assert labels[-1] == "pix2pix & co"


def test_cells_without_a_label_are_called_by_their_values(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path, report=REPORT | {"rows": "none of them"})
    labels = [cell.label for cell in cells_of(folder)]
    assert labels == ["method=unet5", "method=pix2pix"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("paths.runs=/home/ada/runs depth=3", "paths.runs=…/runs depth=3"),
        ("see '/tmp/a/b/log.txt'.", "see '…/log.txt'."),
        (r"C:\Users\ada\runs", "…/runs"),
        ("~/data/rain", "…/rain"),
        ("hydra/launcher=node8 a/b", "hydra/launcher=node8 a/b"),
        ("rain 3/4 and 1/2", "rain 3/4 and 1/2"),
    ],
)
def test_folders_of_one_computer_are_not_shown(text: str, expected: str) -> None:
    assert portable(text) == expected
