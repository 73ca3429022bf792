"""The gallery: the first test image, the worst and the best, without loss, as they were scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from ir_lightning.data.image_files import read_pixels
from ir_lightning.files import write_json
from ir_lightning.launch.run import run
from ir_lightning.runs.gallery import GALLERY, read_gallery
from ir_lightning.runs.scores import read_scores
from ir_lightning.training.callbacks.gallery import Gallery, Shown
from tests.conftest import SMALL, Compose


@pytest.mark.slow
def test_a_run_leaves_pictures_that_have_the_scores_it_says(
    composed: Compose, tmp_path: Path
) -> None:
    asked = [*SMALL, "depth=2", "budget.test_images=6", "budget.evaluation_side=null"]
    run(composed(*asked), asked)
    (run_dir,) = (tmp_path / "runs").iterdir()
    entries = read_gallery(run_dir)
    scores = read_scores(run_dir).query("protocol == 'rgb8' and kind == 'restored'")
    psnr = scores[scores["metric"] == "psnr"].set_index("image")["value"]
    assert entries[0].name == psnr.index[0]
    assert "first" in entries[0].why
    by_score = list(psnr.sort_values().index)
    for why, expected in (("worst", by_score[:2]), ("best", by_score[-2:])):
        assert {e.name for e in entries if why in e.why} == set(expected)
    for entry in entries:
        clean, restored = (read_pixels(entry.files[kind]) for kind in ("clean", "restored"))
        said = entry.scores["restored"]["psnr"]
        assert peak_signal_noise_ratio(clean, restored) == pytest.approx(said)


def test_no_more_is_kept_than_is_shown(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path, keep=1)
    for place, worth in enumerate([20.0, 25.0, 15.0, 30.0, 10.0, 22.0]):
        gallery.shown[place] = Shown("", {}, worth, {"restored": np.zeros((1, 1, 3), np.uint8)})
        gallery.shown = {number: gallery.shown[number] for number in gallery._chosen()}
    assert sorted(gallery.shown) == [0, 3, 4]


def test_a_gallery_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    files = {kind: f"../0-{kind}.png" for kind in ("degraded", "restored", "clean")}
    entry = {"name": "a", "why": ["first"], "files": files}
    flat = {"degraded_psnr": 20.0, "degraded_ssim": 0.5, "restored_psnr": 25.0}
    write_json(tmp_path / GALLERY / "gallery.json", [entry | flat, "no entry"])
    (shot,) = read_gallery(tmp_path)
    assert shot.scores == {"degraded": {"psnr": 20.0, "ssim": 0.5}, "restored": {"psnr": 25.0}}
    assert shot.files["clean"] == tmp_path / GALLERY / "0-clean.png"


@pytest.mark.parametrize("content", [None, "{", '{"a": 1}'])
def test_a_run_without_a_gallery_has_no_entries(content: Any, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / GALLERY).mkdir(parents=True)
        (tmp_path / GALLERY / "gallery.json").write_text(content)
    assert read_gallery(tmp_path) == []
