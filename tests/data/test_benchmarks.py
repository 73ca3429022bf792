"""Each benchmark's official tree is read with the right pairs; of a wrong place the right is told.

The trees are those of tests/trees.py: a sample is right if its degraded image is the expected
version of its clean one, and its clean image that of the expected scene.
"""

import shutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.io import loadmat, savemat

from ir_lightning.build import build
from ir_lightning.data.benchmarks.sidd import SIDDBlocks, SIDDPhotographs
from ir_lightning.data.benchmarks.weather import (
    ITS,
    OutdoorRain,
    Rain100,
    Rain800,
    Rain1200,
    Rain1200Test,
    RainCityscapes,
    ResideIn,
    SOTSIndoor,
    SOTSOutdoor,
    photographs,
)
from ir_lightning.data.samples import Checked, Source, files_of
from ir_lightning.errors import DataError, UnpairedError, UsageError
from tests.conftest import Compose
from tests.helpers import trees

JPEG = 6.0  # mean difference in levels that compression may make
SPLITS = ("train", "validation", "test")


def names(source: Source) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def scenes(source: Source) -> set[str]:
    return {source.scene(index) for index in range(len(source))}


def read(source: Source) -> dict[str, tuple[np.ndarray, int]]:
    """By name: the clean image, and which version the degraded one is."""
    if isinstance(source, Checked):
        source.check()
    found = {}
    for index in range(len(source)):
        sample = source[index]
        assert sample.name == source.name(index)
        assert sample.degraded is not None
        assert source.size(index) == sample.clean.shape[:2] == sample.degraded.shape[:2]
        version = trees.version_of(sample.clean, sample.degraded)
        assert abs(version - round(version)) < 0.25, f"{sample.name}: no pair"
        found[sample.name] = sample.clean, round(version)
    assert len(found) == len(source)
    return found


def assert_pairs(
    source: Source, expected: Mapping[str, tuple[np.ndarray, int]], tolerance: float = 0.0
) -> None:
    """The same names in the same order, the clean images and the versions."""
    found = read(source)
    assert list(found) == list(expected)
    for name, (image, version) in expected.items():
        clean, read_version = found[name]
        assert clean.shape == image.shape, name
        assert np.abs(clean.astype(float) - image).mean() <= tolerance, f"{name}: another scene"
        assert read_version == version, name


# SIDD.


@pytest.mark.parametrize("medium", [False, True], ids=["small", "medium"])
def test_sidd_pairs_noisy_with_gt_in_the_same_folder(medium: bool, tmp_path: Path) -> None:
    trees.sidd(tmp_path, medium)
    shots = ("010", "011") if medium else ("010",)
    source = SIDDPhotographs(tmp_path)
    expected = {
        f"{folder}_{shot}": (trees.clean(f"{folder}-{shot}"), version)
        for folder in trees.SIDD_FOLDERS
        for version, shot in enumerate(shots)
    }
    assert_pairs(source, expected)
    assert scenes(source) == {"001", "002", "010"}
    assert {file.suffix for file in files_of(source, 0)} == {".PNG"}
    (inside,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert names(SIDDPhotographs(inside)) == names(source)


@pytest.mark.parametrize("missing", ["NOISY", "GT"])
def test_sidd_names_the_image_whose_partner_is_missing(missing: str, tmp_path: Path) -> None:
    trees.sidd(tmp_path)
    folder = tmp_path / "SIDD_Small_sRGB_Only" / "Data" / trees.SIDD_FOLDERS[1]
    (folder / f"{missing}_SRGB_010.PNG").unlink()
    left = {"NOISY": "GT", "GT": "NOISY"}[missing]
    with pytest.raises(UnpairedError, match=f"^1 unpaired: .*{folder.name}/{left}_SRGB_010.PNG"):
        SIDDPhotographs(tmp_path)


def test_the_blocks_of_sidd_come_from_two_files_with_a_key_each(tmp_path: Path) -> None:
    trees.sidd_blocks(tmp_path, images=3, blocks=2)
    source = SIDDBlocks(tmp_path)
    expected = {
        f"{image + 1:04d}_{block + 1:02d}": (trees.clean(f"{image}-{block}", 32, 32), block)
        for image in range(3)
        for block in range(2)
    }
    assert_pairs(source, expected)
    assert scenes(source) == {"0001", "0002", "0003"}
    with pytest.raises(IndexError):
        source.name(6)
    untouched = source[1].clean.copy()
    source[1].clean[:] = 0
    assert np.array_equal(source[1].clean, untouched)


def test_sidds_1280_blocks_are_called_as_published_results_are(tmp_path: Path) -> None:
    for kind in ("Noisy", "Gt"):
        key = f"Validation{kind}BlocksSrgb"
        savemat(tmp_path / f"{key}.mat", {key: np.zeros((40, 32, 2, 2, 3), np.uint8)})
    found = names(SIDDBlocks(tmp_path))
    assert len(set(found)) == 1280
    assert (found[0], found[31], found[32], found[-1]) == (
        "0001_01",
        "0001_32",
        "0002_01",
        "0040_32",
    )


def test_block_files_that_are_not_what_they_are_called(tmp_path: Path) -> None:
    trees.sidd_blocks(tmp_path)
    noisy, gt = (tmp_path / f"Validation{kind}BlocksSrgb.mat" for kind in ("Noisy", "Gt"))
    good = gt.read_bytes()
    shutil.copy(noisy, gt)  # the noisy blocks under the name of the clean ones
    with pytest.raises(UsageError, match=r"ValidationGtBlocksSrgb\.mat: no blocks .*Noisy"):
        SIDDBlocks(tmp_path)
    savemat(gt, {"ValidationGtBlocksSrgb": loadmat(noisy)["ValidationNoisyBlocksSrgb"][:1]})
    with pytest.raises(UsageError, match=r"\(3, 2, .*\(1, 2, "):
        SIDDBlocks(tmp_path)
    for content in (b"", b"no MATLAB file", b"MATLAB 5.0" + bytes(200)):
        gt.write_bytes(content)
        with pytest.raises(UsageError, match=r"ValidationGtBlocksSrgb\.mat"):
            SIDDBlocks(tmp_path)
    gt.write_bytes(good[: len(good) // 2])
    with pytest.raises((UsageError, DataError), match=r"ValidationGtBlocksSrgb\.mat"):
        SIDDBlocks(tmp_path)[0]


# RESIDE.


@pytest.mark.parametrize(
    ("hazy", "gt"), [("hazy", "clear"), ("haze", "GT"), ("images", "labels"), ("input", "gt")]
)
def test_its_pairs_many_hazy_with_one_clear(hazy: str, gt: str, tmp_path: Path) -> None:
    trees.reside(tmp_path, hazy=hazy, gt=gt)
    source = ITS(tmp_path)
    expected = {
        f"{scene}_{version}_0.9{version}": (trees.clean(f"its-{scene}"), version)
        for scene in (1, 2, 10)
        for version in (1, 10)
    }
    assert_pairs(source, expected)
    assert scenes(source) == {"1", "2", "10"}


def test_the_ground_truth_of_sots_indoor_is_cropped_and_not_resized(tmp_path: Path) -> None:
    trees.reside(tmp_path)
    source = SOTSIndoor(tmp_path)
    border = {
        scene: trees.clean(f"sots-{scene}", trees.HEIGHT + 20, trees.WIDTH + 20)[10:-10, 10:-10]
        for scene in (1400, 1401)
    }
    expected = {
        f"{scene}_{version}": (image, version)
        for scene, image in border.items()
        for version in (1, 10)
    }
    assert_pairs(source, expected)


def test_another_border_than_that_of_sots_is_refused(tmp_path: Path) -> None:
    trees.reside(tmp_path)
    file = tmp_path / "SOTS" / "indoor" / "nyuhaze500" / "gt" / "1401.png"
    trees.write(file, trees.clean("sots-1401", trees.HEIGHT + 18, trees.WIDTH + 18))
    with pytest.raises(UsageError, match=r"1401_1\.png is 64 x 48 .*1401\.png is 82 x 66"):
        SOTSIndoor(tmp_path).check()
    with pytest.raises(DataError, match=r"1401_1\.png is 64 x 48"):
        SOTSIndoor(tmp_path)[2]


def test_sots_outdoor_pairs_jpeg_with_png(tmp_path: Path) -> None:
    trees.reside(tmp_path)
    expected = {
        f"{scene}_0.8_0.2": (trees.clean(f"outdoor-{scene}"), 1) for scene in ("0001", "0010")
    }
    assert_pairs(SOTSOutdoor(tmp_path), expected)


@pytest.mark.parametrize("inside", [False, True])
def test_reside_in_has_one_scene_for_all_copies_of_a_clear_image(
    inside: bool, tmp_path: Path
) -> None:
    trees.reside_in(tmp_path)
    source = ResideIn(tmp_path / "RESIDE-IN" if inside else tmp_path, "train")
    expected = {
        f"{scene}_{version}": (trees.clean(f"train-{scene}"), version)
        for scene in (1, 2, 10)
        for version in (1, 10)
    }
    assert_pairs(source, expected)
    assert scenes(source) == {"1", "2", "10"}


# Rain.


@pytest.mark.parametrize("unpacked", ["rain", "."])
def test_rain800_has_the_clean_half_on_the_left(unpacked: str, tmp_path: Path) -> None:
    trees.rain800(tmp_path / unpacked, training=11)
    for split, count in (("training", 11), ("test_syn", 2)):
        expected = {
            str(number): (trees.clean(f"{split}-{number}"), 1) for number in range(1, count + 1)
        }
        assert_pairs(Rain800(tmp_path, split), expected, JPEG)


def test_one_photograph_of_rain800_under_other_rain_is_one_scene(tmp_path: Path) -> None:
    # On the benchmark 1.jpg and 394.jpg show one photograph, 2.jpg and 178.jpg another.
    trees.rain800(tmp_path, training=3)
    for copy, name in (("1", "394"), ("2", "178"), ("3", "2")):
        (tmp_path / "training" / f"{copy}.jpg").rename(tmp_path / "training" / f"{name}.jpg")
    trees.rain800(tmp_path / "more", training=2)
    (tmp_path / "more" / "training" / "1.jpg").rename(tmp_path / "training" / "1.jpg")
    source = Rain800(tmp_path, "training")
    scenes = {source.name(i): source.scene(i) for i in range(len(source))}
    assert scenes == {"1": "1", "2": "2", "178": "2", "394": "1"}


def test_copies_in_the_test_set_of_rain800_are_one_scene(tmp_path: Path) -> None:
    # On the benchmark 4.jpg and 17.jpg show one photograph; in training they show two.
    trees.rain800(tmp_path, training=17, test=17)
    for split, first in (("test_syn", "4"), ("training", "17")):
        source = Rain800(tmp_path, split)
        by_name = {source.name(i): source.scene(i) for i in range(len(source))}
        assert by_name["17"] == first, split


@pytest.mark.parametrize(
    ("split", "pictures", "count"), [("training", 700, 368), ("test_syn", 100, 76)]
)
def test_the_pictures_of_rain800_show_fewer_photographs(
    split: str, pictures: int, count: int
) -> None:
    known = photographs(split)
    assert {int(name) for name in known} <= set(range(1, pictures + 1))
    for name, first in known.items():
        assert known[first] == first
        assert int(first) <= int(name)
    assert pictures - len(known) + len(set(known.values())) == count


def test_identical_pictures_of_rain800_are_one_scene(tmp_path: Path) -> None:
    trees.rain800(tmp_path, training=10)  # on the benchmark, 11.jpg shows what 5.jpg shows
    folder = tmp_path / "training"
    for copy in (4, 10):
        shutil.copy(folder / "2.jpg", folder / f"{copy}.jpg")
    same_size = bytearray((folder / "3.jpg").read_bytes())
    same_size[-1] ^= 1
    (folder / "5.jpg").write_bytes(same_size)
    source = Rain800(tmp_path, "training")
    by_name = {source.name(index): source.scene(index) for index in range(len(source))}
    assert by_name == {str(n): str(n) for n in range(1, 11)} | {"4": "2", "10": "2"}


def test_rain1200_has_the_rainy_half_on_the_left(tmp_path: Path) -> None:
    trees.rain1200(tmp_path)
    source = Rain1200(tmp_path)
    expected = {
        f"{density}-{number}": (trees.clean(f"train-{number}"), version)
        for version, density in enumerate(("Heavy", "Medium", "Light"))
        for number in range(4)
    }
    assert_pairs(source, expected, JPEG)
    assert scenes(source) == {"0", "1", "2", "3"}
    test = {str(number): (trees.clean(f"test-{number}"), 0) for number in range(3)}
    assert_pairs(Rain1200Test(tmp_path), test, JPEG)


def test_rain1200_in_its_own_folder(tmp_path: Path) -> None:
    trees.rain1200(tmp_path / "DID-MDN-datasets")
    (tmp_path / "DID-MDN-datasets" / "DID-MDN-test").rename(tmp_path / "DID-MDN-datasets" / "TestA")
    for root in (tmp_path, tmp_path / "DID-MDN-datasets"):
        assert len(Rain1200(root)) == 12
        assert len(Rain1200Test(root)) == 3


@pytest.mark.parametrize("naming", ["_leftImg8bit", ""], ids=["download", "lists"])
def test_raincityscapes_pairs_by_city_and_frame(naming: str, tmp_path: Path) -> None:
    trees.raincityscapes(tmp_path, naming)
    source = RainCityscapes(tmp_path, "train")
    found = read(source)
    assert len(found) == 3 * 6
    assert scenes(source) == {
        "aachen_000004_000019",
        "aachen_000010_000019",
        "jena_000004_000019",
    }
    for index in range(len(source)):
        name, scene = source.name(index), source.scene(index)
        assert name.startswith(f"{scene}{naming}_rain_alpha_")
        alpha, pattern = name.split("_alpha_")[1].split("_")[0], name.split("_")[-1]
        version = 2 * [weather[0] for weather in trees.WEATHER].index(alpha) + (pattern == "12")
        clean, read_version = found[name]
        assert np.array_equal(clean, trees.clean(scene))
        assert read_version == version
    assert scenes(RainCityscapes(tmp_path, "val")) == {
        "lindau_000000_000019",
        "munster_000000_000019",
    }


def test_names_that_raincityscapes_does_not_have(tmp_path: Path) -> None:
    trees.raincityscapes(tmp_path)
    folder = tmp_path / "leftImg8bit_rain" / "train" / "jena"
    first = sorted(folder.iterdir())[0]
    mixed = first.with_name(first.name.replace("beta_0.005", "beta_0.01"))
    first.rename(mixed)
    with pytest.raises(UsageError, match=r"beta_0\.01_.*\(0\.01, 0\.01, 0\.01\)"):
        RainCityscapes(tmp_path, "train")
    mixed.rename(folder / "jena.png")
    with pytest.raises(UsageError, match=r"jena\.png: not called"):
        RainCityscapes(tmp_path, "train")
    (folder / "jena.png").unlink()
    (tmp_path / "leftImg8bit/train/aachen/aachen_000004_000019_leftImg8bit.png").unlink()
    with pytest.raises(UnpairedError, match=r"^6 unpaired: .*aachen_000004"):
        RainCityscapes(tmp_path, "train")


def outdoor_parts(root: Path, split: str) -> tuple[OutdoorRain, OutdoorRain]:
    return OutdoorRain(root, split, "train"), OutdoorRain(root, split, "test")


@pytest.mark.parametrize("split", ["paper", "scene"])
def test_outdoorrain_is_cut_8_to_2(split: str, tmp_path: Path) -> None:
    trees.outdoorrain(tmp_path)
    train, test = outdoor_parts(tmp_path, split)
    found = read(train) | read(test)
    assert (len(train), len(test), len(found)) == (120, 30, 150)
    kinds = [f"s{s}_a{a}" for s in (80, 85, 90, 95, 100) for a in ("04", "05", "06")]
    for number in range(1, 11):
        for version, kind in enumerate(kinds):
            clean, read_version = found[f"im_{number:04d}_{kind}"]
            assert np.array_equal(clean, trees.clean(f"im_{number:04d}"))
            assert read_version == version
    shared = scenes(train) & scenes(test)
    assert bool(shared) == (split == "paper")
    assert len(scenes(train) | scenes(test)) == 10


@pytest.mark.slow
def test_the_sizes_of_the_papers_split_of_outdoorrain(tmp_path: Path) -> None:
    for number in range(1, 601):
        for folder, suffixes in (
            ("gt", [""]),
            ("in", [f"_s{s}_a0{a}" for s in (80, 85, 90, 95, 100) for a in (4, 5, 6)]),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            for suffix in suffixes:
                (tmp_path / folder / f"im_{number:04d}{suffix}.png").touch()
    train, test = outdoor_parts(tmp_path, "paper")
    assert (len(train), len(test)) == (7200, 1800)
    # The split must be the same for everybody, for ever.
    assert names(test)[:3] == ["im_0001_s85_a04", "im_0001_s85_a06", "im_0001_s90_a04"]
    train, test = outdoor_parts(tmp_path, "scene")
    assert (len(train), len(test)) == (7200, 1800)
    assert (len(scenes(train)), len(scenes(test))) == (480, 120)


def test_outdoorrain_must_be_told_how_to_split(tmp_path: Path) -> None:
    trees.outdoorrain(tmp_path)
    with pytest.raises(UsageError, match=r"split=file: choose paper .* or scene"):
        OutdoorRain(tmp_path, "file", "train")
    with pytest.raises(UsageError, match="part=validation: choose train or test"):
        OutdoorRain(tmp_path, "scene", "validation")


@pytest.mark.parametrize("folders", [False, True], ids=["one folder", "two folders"])
def test_rain100_pairs_by_number(folders: bool, tmp_path: Path) -> None:
    trees.rain100(tmp_path, "H", folders)
    train = {f"rain-{n}x2": (trees.clean(f"RainTrainH-{n}"), 1) for n in ("1", "2", "10")}
    assert_pairs(Rain100(tmp_path, ["absent", "RainTrainH"]), train)
    test = {f"rain-{n}": (trees.clean(f"Rain100H-{n}"), 1) for n in ("001", "010")}
    assert_pairs(Rain100(tmp_path, ["Rain100H"]), test)


def test_rain100_without_the_one_or_the_other(tmp_path: Path) -> None:
    trees.rain100(tmp_path)
    (tmp_path / "RainTrainL" / "norain-2.png").unlink()
    with pytest.raises(UnpairedError, match=r"^1 unpaired: .*rain-2x2\.png"):
        Rain100(tmp_path, ["RainTrainL"])
    for file in (tmp_path / "Rain100L").glob("rain-*"):
        file.unlink()
    with pytest.raises(UsageError, match="0 images are called rain-001 and 2 norain-001"):
        Rain100(tmp_path, ["Rain100L"])


# Scenes: what must not stand on both sides of a split, and what scores are averaged over first.


@pytest.mark.parametrize(
    ("tree", "source"),
    [
        (trees.reside, ITS),
        (trees.reside, SOTSIndoor),
        (trees.reside, SOTSOutdoor),
        (trees.reside_in, lambda root: ResideIn(root, "test")),
        (trees.raincityscapes, lambda root: RainCityscapes(root, "train")),
        (trees.raincityscapes, lambda root: RainCityscapes(root, "val")),
        (trees.outdoorrain, lambda root: OutdoorRain(root, "paper", "train")),
        (trees.outdoorrain, lambda root: OutdoorRain(root, "scene", "test")),
        (trees.rain100, lambda root: Rain100(root, ["RainTrainL"])),
    ],
)
def test_images_are_of_one_scene_exactly_if_their_clean_image_is_one(
    tree: Callable[[Path], None], source: Callable[[Path], Source], tmp_path: Path
) -> None:
    tree(tmp_path)
    images = source(tmp_path)
    clean = [zlib.crc32(images[i].clean.tobytes()) for i in range(len(images))]
    by_scene: dict[str, set[int]] = defaultdict(set)
    by_image: dict[int, set[int]] = defaultdict(set)
    for index, pixels in enumerate(clean):
        by_scene[images.scene(index)].add(index)
        by_image[pixels].add(index)
    assert sorted(map(sorted, by_scene.values())) == sorted(map(sorted, by_image.values()))


@pytest.mark.parametrize("medium", [False, True], ids=["small", "medium"])
def test_the_scene_of_a_photograph_of_sidd_is_the_second_field_of_its_folder(
    medium: bool, tmp_path: Path
) -> None:
    trees.sidd(tmp_path, medium)
    source = SIDDPhotographs(tmp_path)
    for index in range(len(source)):
        assert source.scene(index) == source.name(index).split("_")[1]
    blocks = SIDDBlocks(tmp_path)
    assert [blocks.scene(i) for i in range(4)] == ["0001", "0001", "0002", "0002"]


# The options of the group `dataset`.

PARTS = {
    # train, validation, test; scenes of train and validation together
    "rain800": (7, 1, 2, 8),
    "rain1200": (9, 3, 3, 4),
    "sidd": (3, 1, 6, 3),
    "reside": (4, 2, 4, 3),
    "reside_in": (4, 2, 4, 3),
    "raincityscapes": (12, 6, 12, 3),
    "outdoorrain": (107, 13, 30, 10),
    "rain100l": (2, 1, 2, 3),
    "rain100h": (2, 1, 2, 3),
    "rain13k": (2, 1, 3, 3),
}


def built(composed: Compose, *overrides: str) -> tuple[str, dict[str, Source]]:
    dataset = OmegaConf.to_container(composed(*overrides).dataset, resolve=True)
    assert isinstance(dataset, dict)
    return dataset["name"], {split: build(dataset[split], split) for split in SPLITS}


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_validation_is_cut_from_training_between_scenes(
    name: str, composed: Compose, miniatures: Path
) -> None:
    _, found = built(composed, f"dataset={name}", f"paths.data={miniatures}")
    train, validation, test = (found[split] for split in SPLITS)
    assert (len(train), len(validation)) == PARTS[name][:2]
    assert len(test) == PARTS[name][2]
    assert not scenes(train) & scenes(validation)
    assert len(scenes(train) | scenes(validation)) == PARTS[name][3]
    for source in (train, validation, test):
        read(source)


def test_a_root_of_ones_own(composed: Compose, tmp_path: Path) -> None:
    trees.rain800(tmp_path / "elsewhere")
    _, found = built(composed, "dataset=rain800", f"dataset.root={tmp_path}/elsewhere")
    assert len(found["test"]) == 2


@pytest.mark.slow
def test_the_name_says_how_the_test_set_was_chosen(composed: Compose, miniatures: Path) -> None:
    data = f"paths.data={miniatures}"
    results = {
        built(composed, data, f"dataset={dataset}", *overrides)[0]: None
        for dataset, overrides in (
            ("outdoorrain", []),
            ("outdoorrain", ["dataset.split=scene"]),
            ("reside", []),
            ("reside", ["dataset.test_set=outdoor"]),
            ("rain13k", []),
            ("rain13k", ["dataset.test_set=Rain100L"]),
        )
    }
    assert list(results) == [
        "outdoorrain-paper",
        "outdoorrain-scene",
        "reside-indoor",
        "reside-outdoor",
        "rain13k-Test100",
        "rain13k-Rain100L",
    ]
    _, found = built(composed, data, "dataset=rain13k", "dataset.test_set=Rain100L")
    assert np.array_equal(found["test"][0].clean, trees.clean("test/Rain100L-1"))


# A wrong root.

READERS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Source]]] = {
    "sidd": (trees.sidd, SIDDPhotographs),
    "sidd_blocks": (trees.sidd_blocks, SIDDBlocks),
    "its": (trees.reside, ITS),
    "sots": (trees.reside, SOTSIndoor),
    "sots_outdoor": (trees.reside, SOTSOutdoor),
    "reside_in": (trees.reside_in, lambda root: ResideIn(root, "test")),
    "rain800": (trees.rain800, lambda root: Rain800(root, "training")),
    "rain1200": (trees.rain1200, Rain1200),
    "rain1200_test": (trees.rain1200, Rain1200Test),
    "raincityscapes": (trees.raincityscapes, lambda root: RainCityscapes(root, "val")),
    "outdoorrain": (trees.outdoorrain, lambda root: OutdoorRain(root, "paper", "test")),
    "rain100": (trees.rain100, lambda root: Rain100(root, ["RainTrainL", "train"])),
}


@pytest.mark.parametrize("name", READERS)
def test_the_level_that_looks_right_is_named(name: str, tmp_path: Path) -> None:
    plant, reader = READERS[name]
    right = tmp_path / "data" / "unpacked"
    plant(right)
    assert len(reader(right))
    too_low = right / "notes"
    too_low.mkdir()
    misspelt, nested = tmp_path / "data" / "Unpaked", right / "unpacked"
    for wrong in (too_low, tmp_path / "data", misspelt, nested, tmp_path / "unpacked"):
        with pytest.raises(UsageError, match=rf"did you mean {right}(/[^/]+)?\?$") as refused:
            reader(wrong)
        assert str(refused.value).startswith(f"{wrong}: ")


def test_an_empty_or_strange_root_is_said(tmp_path: Path) -> None:
    far = tmp_path / "a" / "b" / "c"
    far.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"c: this folder is empty; RESIDE's ITS .*'ITS_v2/hazy'"):
        ITS(far)
    (far / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"c: not the right folder; .*unpacked to\.$"):
        ITS(far)
    with pytest.raises(UsageError, match="absent: no such folder"):
        ITS(far / "absent")
    with pytest.raises(UsageError, match=r"notes\.txt: cannot be listed as a folder"):
        ITS(far / "notes.txt")
    loop = far / "loop"
    loop.symlink_to(loop)
    with pytest.raises(UsageError, match="loop: "):
        ITS(loop)


def test_folders_of_ones_own_one_level_off(composed: Compose, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for kind in ("degraded", "clean"):
            for number in range(3):
                file = tmp_path / "my" / "set" / split / kind / f"{number}.png"
                trees.write(file, trees.clean(f"{split}-{number}"))
    base = tmp_path / "my" / "set"

    def refusal(train_dir: Path, *overrides: str) -> str:
        folders = [f"dataset.train_dir={train_dir}", f"dataset.test_dir={base}/test"]
        with pytest.raises(UsageError) as refused:
            built(composed, *folders, *overrides)
        return str(refused.value)

    assert f"did you mean {base}/test/degraded?" in refusal(base, "dataset=pairs")
    assert f"did you mean {base}/train/degraded?" in refusal(base / "train/clean", "dataset=pairs")
    halves = ("dataset=pairs_side_by_side", "dataset.left=clean")
    assert f"did you mean {base}/train/clean?" in refusal(base / "train", *halves)
    (base / "train" / "clean" / "empty").mkdir()
    assert f"did you mean {base}/train/clean?" in refusal(base / "train/clean/empty", *halves)
