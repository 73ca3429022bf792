"""Photographs of one's own: cut into parts, degraded by any composition model, or refused."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from ir_lightning.build import build
from ir_lightning.data.image_files import write_image
from ir_lightning.data.pairs import PairedFolders, SideBySideFolder
from ir_lightning.data.samples import Checked, Source
from ir_lightning.data.synthetic.depth import ground_plane
from ir_lightning.data.synthetic.photographs import Folder, Photographs, scenes
from ir_lightning.errors import DataError, UsageError
from ir_lightning.launch.preflight import check, resolve
from ir_lightning.launch.run import run
from tests.conftest import CONF, SMALL, Compose
from tests.helpers import trees

SYNTHETIC = sorted(
    path.stem
    for path in CONF.glob("dataset/*.yaml")
    if "/scenes@_here_" in path.read_text(encoding="utf-8")
)
PARTS = ("train", "validation", "test")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty photographs of one's own."""
    for number in range(40):
        trees.write(tmp_path / "photos" / f"holiday {number}.png", trees.clean(str(number)))
    return tmp_path / "photos"


def names(source: Source) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def parts(folder: Path) -> dict[str, Source]:
    built_in = Photographs(["chelsea"])
    return {part: scenes(str(folder), part, built_in) for part in PARTS}


def test_a_photograph_is_clean_and_gets_a_depth_of_its_own(photos: Path) -> None:
    source = Folder(photos)
    source.check()
    assert names(source)[:3] == ["holiday 0", "holiday 1", "holiday 2"]
    sample, other = source[10], source[11]
    assert sample.degraded is None
    assert np.array_equal(sample.clean, trees.clean("10"))
    assert sample.depth is not None
    assert sample.depth.shape == source.size(10) == (trees.HEIGHT, trees.WIDTH)
    assert not np.array_equal(sample.depth, other.depth)
    assert np.array_equal(sample.depth, source[10].depth)
    assert (sample.depth.min(), sample.depth.max()) == (0, 1)
    assert sample.depth.dtype == ground_plane(2, 2, 0).dtype


def test_the_folder_is_cut_in_three_by_file(photos: Path) -> None:
    found = parts(photos)
    assert {part: len(source) for part, source in found.items()} == {
        "train": 34,
        "validation": 2,
        "test": 4,
    }
    assert sorted(name for source in found.values() for name in names(source)) == sorted(
        f"holiday {number}" for number in range(40)
    )
    # One photograph more takes the place of one tested photograph at most.
    tested = set(names(found["test"]))
    trees.write(photos / "one more.png", trees.clean("one more"))
    assert len(set(names(parts(photos)["test"])) & tested) >= 3


def test_copies_of_a_photograph_stay_on_one_side(photos: Path) -> None:
    for number in range(40):
        shutil.copy(photos / f"holiday {number}.png", photos / f"copy {number}.png")
    sides = {
        part: {source.scene(i) for i in range(len(source))}
        for part, source in parts(photos).items()
    }
    assert not sides["train"] & (sides["validation"] | sides["test"])
    assert not sides["validation"] & sides["test"]


def test_without_a_folder_the_scenes_are_the_built_in_ones() -> None:
    built_in = Photographs(["chelsea"])
    assert scenes(None, "train", built_in) is built_in


def test_too_few_photographs(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        trees.write(tmp_path / f"{name}.png", trees.clean("always the same"))
    with pytest.raises(UsageError, match=r"1 different images cannot be cut .* at least three"):
        parts(tmp_path)
    for name in ("b", "c"):
        trees.write(tmp_path / f"{name}.png", trees.clean(name))
    assert [len(source) for source in parts(tmp_path).values()] == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("dataset", SYNTHETIC)
def test_every_composition_degrades_ones_own_photographs(
    dataset: str, composed: Compose, photos: Path
) -> None:
    overrides = (f"dataset={dataset}", f"clean_dir={photos}", "dataset.small_images=pad")
    result = run(composed(*SMALL, "depth=3", *overrides), [])
    assert result["status"] == "finished"
    assert result["images"] == 2
    assert 3 < result["degraded"]["psnr"] < 60


def test_the_parts_of_the_configuration_are_those_of_the_folder(
    composed: Compose, photos: Path
) -> None:
    plain = resolve(composed("dataset=haze", f"clean_dir={photos}"))
    found = {part: build(plain["dataset"][part], part) for part in PARTS}
    assert {part: names(source) for part, source in found.items()} == {
        part: names(source) for part, source in parts(photos).items()
    }


def test_clean_dir_is_for_synthetic_data_sets(composed: Compose, photos: Path) -> None:
    config = composed("dataset=rain800", f"clean_dir={photos}", "paths.data=/data")
    with pytest.raises(UsageError, match=r"clean_dir=.*dataset=rain800 has images of its own"):
        check(config)


def test_the_folder_that_was_meant(photos: Path) -> None:
    with pytest.raises(UsageError, match=f"did you mean {photos}"):
        Folder(photos.parent)
    (photos / "raw").mkdir()
    with pytest.raises(UsageError, match=f"raw: no images .*did you mean {photos}"):
        Folder(photos / "raw")


# Small images.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choice", "notice", "iterations"),
    [("pad", "padded.", 34), ("skip", "left out.", 30)],
)
def test_small_images_are_counted_and_said(
    choice: str, notice: str, iterations: int, composed: Compose, photos: Path
) -> None:
    for name in names(parts(photos)["train"])[:4]:
        trees.write(photos / f"{name}.png", trees.clean(name, 20, 70))
    overrides = [*SMALL, "budget.iterations=null", "budget.epochs=1", f"clean_dir={photos}"]
    config, notices, *_ = check(composed(*overrides, f"dataset.small_images={choice}"))
    assert config.budget.iterations == iterations
    assert notices == [f"4 of 34 training images are smaller than the crop: {notice}"]
    data = build(resolve(config)["data"], "data")
    assert len(data.training_pairs.source) == iterations
    batches = list(data.train_dataloader())
    assert len(batches) == iterations
    assert {tuple(batch["clean"].shape) for batch in batches} == {(1, 3, 32, 32)}


@pytest.mark.slow
def test_small_images_are_refused_or_all_skipped(composed: Compose, photos: Path) -> None:
    overrides = (*SMALL, f"clean_dir={photos}", "budget.crop=64")
    with pytest.raises(UsageError, match=r"larger than 34 of 34 .*small_images=pad .*=skip"):
        check(composed(*overrides))
    with pytest.raises(UsageError, match=r"small_images=skip leaves no image"):
        check(composed(*overrides, "dataset.small_images=skip"))


# Files and folders that a reader may meet. What is inside a file is in test_images.py.


def folder_of(root: Path) -> Source:
    return Folder(root)


def halves_of(root: Path) -> Source:
    return SideBySideFolder(root, "clean")


def pairs_of(root: Path) -> Source:
    return PairedFolders(root, root)


EVERY_READER = pytest.mark.parametrize("reader", [folder_of, halves_of, pairs_of])
Reader = Callable[[Path], Source]


@EVERY_READER
def test_a_link_in_a_loop_is_named(reader: Reader, photos: Path) -> None:
    (photos / "loop.png").symlink_to(photos / "loop.png")
    (photos / "inside").symlink_to(photos)  # a folder that holds itself is not walked into
    source = reader(photos)
    assert len(source) == 41
    assert isinstance(source, Checked)
    with pytest.raises(UsageError, match=r"loop\.png: "):
        source.check()
    with pytest.raises(DataError, match=r"loop\.png: "):
        source[names(source).index("loop")]


@EVERY_READER
def test_a_link_to_nowhere_is_named(reader: Reader, photos: Path) -> None:
    (photos / "gone.png").symlink_to(photos / "elsewhere.png")
    source = reader(photos)
    assert isinstance(source, Checked)
    with pytest.raises(UsageError, match=r"gone\.png: no such file"):
        source.check()


@EVERY_READER
def test_links_to_images_are_images(reader: Reader, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "1.png").symlink_to(photos / "holiday 1.png")
    source = reader(tmp_path / "linked")
    assert source.size(0)[0] == trees.HEIGHT
    assert source[0].clean.shape[0] == trees.HEIGHT


@EVERY_READER
def test_a_file_that_may_not_be_read_is_named(
    reader: Reader, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, opened = reader(photos), Pillow.open

    def refusing(path: Path) -> Pillow.Image:
        if path.name == "holiday 7.png":  # root may read everything, so the mode is not enough
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path)

    monkeypatch.setattr(Pillow, "open", refusing)
    assert isinstance(source, Checked)
    with pytest.raises(UsageError, match=r"holiday 7\.png: .*Permission denied"):
        source.check()
    with pytest.raises(DataError, match=r"holiday 7\.png: .*Permission denied"):
        source[7]


@EVERY_READER
def test_a_folder_that_may_not_be_listed_is_named(
    reader: Reader, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(UsageError, match=r"photos: cannot be listed .*Permission denied"):
        reader(photos)


@EVERY_READER
def test_names_of_any_alphabet_length_and_case(reader: Reader, tmp_path: Path) -> None:
    longest = "n" * 251
    expected = ["A", "B.C", "été", "雨 の 日", longest]
    for name, suffix in zip(expected, (".PNG", ".Png", ".JPG", ".jpeg", ".bmp"), strict=True):
        image = trees.clean(name)
        file = tmp_path / f"{name}{suffix}"
        with file.open("wb") as opened:
            Pillow.fromarray(image).save(opened, {"g": "JPEG", "p": "BMP"}.get("", "PNG"))
    source = reader(tmp_path)
    assert isinstance(source, Checked)
    source.check()
    assert sorted(names(source)) == sorted(expected)
    assert {source[i].name for i in range(5)} == set(expected)


@EVERY_READER
@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"<html>not found</html>", "not an image")],
    ids=["zero bytes", "a web page"],
)
def test_broken_files_are_told_before_training(
    reader: Reader, content: bytes, words: str, photos: Path
) -> None:
    for number in (3, 5):
        (photos / f"holiday {number}.png").write_bytes(content)
    source = reader(photos)
    assert isinstance(source, Checked)
    with pytest.raises(UsageError, match=rf"holiday 3\.png.*{words}.*1 more such file"):
        source.check()


@EVERY_READER
def test_a_truncated_file_is_named_when_it_is_read(reader: Reader, photos: Path) -> None:
    file = photos / "holiday 3.png"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"holiday 3\.png"):
        reader(photos)[3]


@EVERY_READER
def test_images_of_every_kind_become_rgb(reader: Reader, tmp_path: Path) -> None:
    grey = Pillow.fromarray(trees.clean("x")).convert("L")
    for mode in ("L", "P", "LA", "RGBA", "I;16", "CMYK", "1"):
        picture = grey.convert("RGBA") if mode == "RGBA" else grey
        if mode == "I;16":
            picture = Pillow.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        elif mode != "RGBA":
            picture = grey.convert("RGB").convert("CMYK") if mode == "CMYK" else grey.convert(mode)
        suffix = "tif" if mode == "CMYK" else "png"
        picture.save(tmp_path / f"{mode.replace(';', '')}.{suffix}")
    source = reader(tmp_path)
    for index in range(len(source)):
        sample = source[index]
        assert sample.clean.dtype == np.uint8
        assert sample.clean.shape == (*source.size(index), 3)


@EVERY_READER
def test_a_turned_photograph_has_the_size_that_is_seen(reader: Reader, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.fromarray(trees.clean("x")).save(tmp_path / "turned.jpg", exif=exif)
    source = reader(tmp_path)
    assert source.size(0)[0] == source[0].clean.shape[0] == trees.WIDTH


@EVERY_READER
def test_a_decompression_bomb_is_named(
    reader: Reader, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(photos / "z.png", np.zeros((100, 200, 3), np.uint8))
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 5000)
    source = reader(photos)
    assert isinstance(source, Checked)
    with pytest.raises(UsageError, match=r"z\.png: .*decompression bomb"):
        source.check()
