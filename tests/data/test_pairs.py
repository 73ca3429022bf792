"""Pairs are found by name, mistakes are named, and no scene stands on both sides of a split."""

from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from ir_lightning.build import build
from ir_lightning.data.image_files import read_image, write_image
from ir_lightning.data.pairs import PairedFolders, SideBySideFolder
from ir_lightning.data.samples import Sample, Source
from ir_lightning.errors import DataError, UsageError
from tests.conftest import Compose, Fill


def partners(source: PairedFolders) -> list[tuple[str, str]]:
    return [(source.name(i), source.scene(i)) for i in range(len(source))]


def test_equal_stems_are_pairs_whatever_the_extension(fill: Fill) -> None:
    names = ["2.png", "10.png", "1.png"]
    source = PairedFolders(fill("rain", names), fill("gt", ["1.bmp", "2.bmp", "10.bmp"]))
    assert partners(source) == [("1", "1"), ("2", "2"), ("10", "10")]


def test_a_sample_holds_both_images_the_right_way_round(fill: Fill, tmp_path: Path) -> None:
    source = PairedFolders(fill("rain", ["1.png"]), fill("gt", ["1.png"]))
    clean, degraded = np.full((2, 6, 8, 3), [[[[10]]], [[[200]]]], np.uint8)
    write_image(tmp_path / "gt" / "1.png", clean)
    write_image(tmp_path / "rain" / "1.png", degraded)
    sample = source[0]
    assert isinstance(sample, Sample)
    assert sample.name == "1"
    assert sample.clean.max() == 10
    assert sample.degraded is not None
    assert sample.degraded.min() == 200


def test_the_prefix_pairs_many_with_one(fill: Fill) -> None:
    hazy = fill("hazy", ["1400_1.png", "1400_10.png", "1401_2_0.9.png", "1402.png"])
    source = PairedFolders(hazy, fill("gt", ["1400.png", "1401.png", "1402.png"]), rule="prefix")
    assert partners(source) == [
        ("1400_1", "1400"),
        ("1400_10", "1400"),
        ("1401_2_0.9", "1401"),
        ("1402", "1402"),
    ]


def test_a_regular_expression_finds_the_clean_stem(fill: Fill) -> None:
    names = [f"aachen_00000{i}_leftImg8bit_rain_alpha_0.0{i}.png" for i in (1, 2)]
    clean = fill("gt", ["aachen_000001_leftImg8bit.png", "aachen_000002_leftImg8bit.png"])
    source = PairedFolders(fill("rain", names), clean, "regex", r"^(.+?)_rain_alpha_")
    assert [scene for _, scene in partners(source)] == [
        path.stem for path in sorted(clean.iterdir())
    ]


def test_unpaired_images_are_named_and_counted(fill: Fill) -> None:
    rain = fill("rain", ["1.png", "2.png", "3.png", "4.png", "5.png"])
    clean = fill("gt", ["1.png"])
    with pytest.raises(UsageError, match=r"^4 unpaired: .*2\.png, .*3\.png, .*4\.png, \.\.\. .*gt"):
        PairedFolders(rain, clean)
    fill("gt", ["2.png", "3.png", "4.png", "5.png", "6.png"])
    with pytest.raises(UsageError, match=r"^1 unpaired: .*gt/6\.png has no degraded .*rain"):
        PairedFolders(rain, clean)
    with pytest.raises(UsageError, match=r"^5 unpaired: .*rain/1\.png"):
        PairedFolders(rain, clean, "regex", r"^(\d+)_rain$")


def test_ambiguous_names_are_refused(fill: Fill) -> None:
    twice, once = fill("twice", ["1.png", "1.bmp"]), fill("once", ["1.png"])
    for folders in ((twice, once), (once, twice)):
        with pytest.raises(UsageError, match=r"1\.bmp and 1\.png differ only in their extension"):
            PairedFolders(*folders)
    with pytest.raises(UsageError, match="differ only"):
        SideBySideFolder(twice, left="clean")


@pytest.mark.parametrize(
    ("rule", "pattern", "words"),
    [
        ("suffix", None, "rule=suffix.*stem, prefix, regex"),
        ("regex", None, "pattern"),
        ("stem", "(.+)", "pattern"),
        ("regex", "(", r"pattern=\(: no valid regular expression"),
        ("regex", ".+", "0 groups"),
        ("regex", "(a)(b)", "2 groups"),
    ],
)
def test_rules_that_cannot_work(rule: str, pattern: str | None, words: str, fill: Fill) -> None:
    folders = fill("rain", ["1.png"]), fill("gt", ["1.png"])
    with pytest.raises(UsageError, match=words):
        PairedFolders(*folders, rule, pattern)


def test_missing_and_empty_folders_are_refused(fill: Fill, tmp_path: Path) -> None:
    full, empty = fill("full", ["1.png"]), fill("empty", [])
    for make in (
        lambda folder: PairedFolders(folder, full),
        lambda folder: PairedFolders(full, folder),
        lambda folder: SideBySideFolder(folder, "clean"),
    ):
        with pytest.raises(UsageError, match="empty: no images"):
            make(empty)
        with pytest.raises(UsageError, match="absent: no such folder"):
            make(tmp_path / "absent")


def test_sizes_that_differ_inside_a_pair(fill: Fill) -> None:
    source = PairedFolders(*(fill(f, ["1.png", "2.png", "3.png"]) for f in ("hazy", "gt")))
    source.check()
    for name in ("2.png", "3.png"):
        write_image(fill("gt", []) / name, np.zeros((10, 12, 3), np.uint8))
    with pytest.raises(DataError, match=r"2\.png is 8 x 6 pixels.*2\.png is 12 x 10"):
        source[1]
    with pytest.raises(UsageError, match=r"hazy/2\.png is 8 x 6 .*1 more such file"):
        source.check()


def test_an_unreadable_header_is_found_before_training(fill: Fill) -> None:
    folders = fill("hazy", ["1.png", "2.png"]), fill("gt", ["1.png", "2.png"])
    (folders[1] / "2.png").write_bytes(b"")
    for source in (PairedFolders(*folders), SideBySideFolder(folders[1], "clean")):
        with pytest.raises(UsageError, match=r"gt/2\.png.*empty"):
            source.check()


@pytest.mark.parametrize("left", ["clean", "degraded"])
def test_one_picture_holds_both_halves(left: str, tmp_path: Path) -> None:
    picture = np.zeros((4, 10, 3), np.uint8)
    picture[:, 5:] = 255
    write_image(tmp_path / "1.png", picture)
    sample = SideBySideFolder(tmp_path, left=left)[0]
    assert sample.degraded is not None
    on_the_left, on_the_right = (
        (sample.clean, sample.degraded) if left == "clean" else (sample.degraded, sample.clean)
    )
    assert on_the_left.shape == on_the_right.shape == (4, 5, 3)
    assert on_the_left.max() == 0
    assert on_the_right.min() == 255


def test_a_picture_of_odd_width_is_named(fill: Fill) -> None:
    folder = fill("both", ["1.png", "2.png"])
    write_image(folder / "2.png", np.zeros((4, 9, 3), np.uint8))
    source = SideBySideFolder(folder, left="clean")
    with pytest.raises(DataError, match=r"2\.png: 9 pixels wide"):
        source[1]
    with pytest.raises(UsageError, match=r"2\.png: 9 pixels wide"):
        source.check()


def test_the_left_half_must_be_said(fill: Fill) -> None:
    with pytest.raises(UsageError, match=r"left=rainy.*clean or degraded"):
        SideBySideFolder(fill("both", ["1.png"]), left="rainy")


def sources(config: DictConfig) -> dict[str, Source]:
    plain = OmegaConf.to_container(config.dataset, resolve=True)
    assert isinstance(plain, dict)
    return {split: build(plain[split], split) for split in ("train", "validation", "test")}


def test_pairs_of_any_folder_names_and_rule(composed: Compose, fill: Fill, tmp_path: Path) -> None:
    for split, count in (("train", 5), ("test", 2)):
        (tmp_path / split).mkdir()
        fill(f"{split}/hazy", [f"{i}_{k}.png" for i in range(count) for k in range(3)])
        fill(f"{split}/gt", [f"{i}.png" for i in range(count)])
    found = sources(
        composed(
            "dataset=pairs",
            f"dataset.train_dir={tmp_path}/train",
            f"dataset.test_dir={tmp_path}/test",
            "dataset.degraded=hazy",
            "dataset.clean=gt",
            "dataset.rule=prefix",
        )
    )
    assert [len(source) for source in found.values()] == [12, 3, 6]
    regex = ["dataset.rule=regex", 'dataset.pattern="^([0-9]+)_[0-9]$"']
    folders = [f"dataset.{s}_dir={tmp_path}/{s}" for s in ("train", "test")]
    names = ["dataset.degraded=hazy", "dataset.clean=gt"]
    assert len(sources(composed("dataset=pairs", *folders, *names, *regex))["test"]) == 6


def test_side_by_side_pictures_of_ones_own(composed: Compose, fill: Fill, tmp_path: Path) -> None:
    fill("train", ["1.png", "2.png"])
    fill("test", ["1.png"])
    folders = [f"dataset.{split}_dir={tmp_path}/{split}" for split in ("train", "test")]
    for left in ("clean", "degraded"):
        found = sources(composed("dataset=pairs_side_by_side", *folders, f"dataset.left={left}"))
        assert [len(source) for source in found.values()] == [1, 1, 1]
        half = read_image(tmp_path / "test" / "1.png")[:, :4]
        sample = found["test"][0]
        assert np.array_equal(sample.clean if left == "clean" else sample.degraded, half)
