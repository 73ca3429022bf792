"""`ir-lightning data check` finds every planted defect, and nothing else."""

import json
import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageEnhance

from ir_lightning.cli import main
from ir_lightning.data.audit.duplicates import (
    BLOCK,
    PerceptualHash,
    connected,
    near,
    perceptual_hash,
)
from ir_lightning.data.audit.examine import examine
from ir_lightning.data.samples import Sample

pytestmark = pytest.mark.slow

TRAIN, TEST = 6, 2


def photograph(seed: int) -> Image.Image:
    """(48, 64): smooth, and like no other seed's."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC)


def save_pair(folder: Path, stem: str, clean: Image.Image, seed: int, suffix: str = "png") -> None:
    """The clean image, and one to which the seed's noise is added."""
    noise = np.random.default_rng([1, seed]).normal(0, 20, (clean.height, clean.width, 3))
    degraded = Image.fromarray(np.clip(np.array(clean) + noise, 0, 255).astype(np.uint8))
    for kind, image in (("degraded", degraded), ("clean", clean)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        image.save(folder / kind / f"{stem}.{suffix}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Pairs without any defect: train/{degraded,clean}/0..5.png and test/{degraded,clean}/."""
    for index in range(TRAIN + TEST):
        split = "train" if index < TRAIN else "test"
        save_pair(tmp_path / "own" / split, str(index), photograph(index), index)
    return tmp_path / "own"


def check(root: Path, dataset: str = "pairs") -> tuple[int, dict[str, Any]]:
    """Exit code and report of ``data check``."""
    report = root.parent / "report.json"
    with pytest.raises(SystemExit) as ended:
        main(["data", "check", dataset, "--root", str(root), "--json", str(report)])
    assert isinstance(ended.value.code, int)
    return ended.value.code, json.loads(report.read_text(encoding="utf-8"))


def broken(report: dict[str, Any], root: Path) -> set[tuple[str, str]]:
    """(kind, file below the root) of all that is broken."""
    return {
        (each["kind"], str(Path(file).relative_to(root)))
        for each in report["broken"]
        for file in each["files"]
    }


def groups(report: dict[str, Any], key: str) -> list[tuple[str, str, list[str]]]:
    """(where, what is the same, names) of all groups."""
    return [
        (group["where"], group["same"], sorted(member["name"] for member in group["members"]))
        for group in report[key]
    ]


def repeats(report: dict[str, Any]) -> list[Any]:
    return report["byte_identical_files"] + report["shared_clean_images"]


def test_a_whole_data_set_passes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = check(root)
    assert code == 0
    assert report == {
        "dataset": "pairs",
        "root": str(root),
        "schema": 1,
        "status": "clean",
        "counts": {
            "training": {"found": TRAIN, "published": None},
            "test": {"found": TEST, "published": None},
        },
        "held_out_for_validation": 1,
        "broken": [],
        "byte_identical_files": [],
        "shared_clean_images": [],
    }
    printed = capsys.readouterr().out
    assert "warning" not in printed
    assert "broken" not in printed


def truncated_png(train: Path) -> None:
    _cut(train / "clean" / "2.png")


def truncated_jpeg(train: Path) -> None:
    (train / "degraded" / "2.png").unlink()
    photograph(2).save(train / "degraded" / "2.jpg", quality=95)
    _cut(train / "degraded" / "2.jpg")


def zero_bytes(train: Path) -> None:
    (train / "degraded" / "2.png").write_bytes(b"")


def no_image(train: Path) -> None:
    (train / "clean" / "2.png").write_text("404 Not Found")


def both_broken(train: Path) -> None:
    zero_bytes(train)
    truncated_png(train)


def other_size(train: Path) -> None:
    photograph(2).resize((32, 48)).save(train / "clean" / "2.png")


def no_clean(train: Path) -> None:
    (train / "clean" / "2.png").unlink()


def no_partner(train: Path) -> None:
    no_clean(train)
    (train / "degraded" / "4.png").unlink()


def _cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (truncated_png, {("truncated", "clean/2.png")}),
        (truncated_jpeg, {("truncated", "degraded/2.jpg")}),
        (zero_bytes, {("unreadable", "degraded/2.png")}),
        (no_image, {("unreadable", "clean/2.png")}),
        (both_broken, {("unreadable", "degraded/2.png"), ("truncated", "clean/2.png")}),
        (other_size, {("size", "degraded/2.png"), ("size", "clean/2.png")}),
        (no_clean, {("unpaired", "degraded/2.png")}),
        (no_partner, {("unpaired", "degraded/2.png"), ("unpaired", "clean/4.png")}),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_broken_file_is_found(
    plant: Callable[[Path], None],
    expected: set[tuple[str, str]],
    split: str,
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if split == "test":  # the same defects, on the other side
        (root / "train").rename(root / "swapped")
        (root / "test").rename(root / "train")
        (root / "swapped").rename(root / "test")
    plant(root / split)
    code, report = check(root)
    assert code == 1
    assert report["status"] == "broken"
    assert broken(report, root / split) == expected
    assert repeats(report) == []
    printed = capsys.readouterr().out
    for _, file in expected:
        assert Path(file).name in printed


def test_what_one_split_lacks_does_not_hide_the_other(root: Path) -> None:
    no_clean(root / "train")
    _cut(root / "test" / "clean" / "7.png")
    code, report = check(root)
    assert code == 1
    assert broken(report, root) == {
        ("unpaired", "train/degraded/2.png"),
        ("truncated", "test/clean/7.png"),
    }
    assert report["counts"]["training"]["found"] is None
    assert report["counts"]["test"]["found"] == TEST


def test_a_broken_clean_image_of_many_is_told_once(tmp_path: Path) -> None:
    for index in range(4):
        save_pair(tmp_path / "own" / "train", f"{index % 2}_{index}", photograph(index), index)
        save_pair(tmp_path / "own" / "test", f"{index + 4}_0", photograph(index + 4), index)
    for split in ("train", "test"):
        for file in (tmp_path / "own" / split / "clean").iterdir():
            file.replace(file.with_name(f"{file.stem.split('_')[0]}.png"))
    truncated = tmp_path / "own" / "train" / "clean" / "1.png"
    _cut(truncated)
    report = tmp_path / "report.json"
    arguments = ["dataset.rule=prefix", "--root", str(tmp_path / "own"), "--json", str(report)]
    with pytest.raises(SystemExit) as ended:
        main(["data", "check", "pairs", *arguments])
    assert ended.value.code == 1
    problems = json.loads(report.read_text())["broken"]
    assert [each["files"] for each in problems] == [[str(truncated)]]


def test_a_copied_pair_is_found(root: Path) -> None:
    for kind in ("degraded", "clean"):
        shutil.copy(root / "train" / kind / "2.png", root / "train" / kind / "copy.png")
    code, report = check(root)
    assert code == 0
    assert report["status"] == "warnings"
    assert groups(report, "byte_identical_files") == [("training", "bytes", ["2", "copy"])] * 2
    assert report["shared_clean_images"] == []
    assert report["broken"] == []


def test_a_pair_copied_into_the_test_set_is_found(root: Path) -> None:
    for kind in ("degraded", "clean"):
        shutil.copy(root / "train" / kind / "2.png", root / "test" / kind / "copy.png")
    code, report = check(root)
    assert code == 0
    assert groups(report, "byte_identical_files") == [("both", "bytes", ["2", "copy"])] * 2
    assert report["shared_clean_images"] == []


TWINS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda image: image.resize((128, 96), Image.Resampling.BICUBIC),
    "halved": lambda image: image.resize((32, 24), Image.Resampling.BICUBIC),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
}


@pytest.mark.parametrize("change", TWINS)
@pytest.mark.parametrize(("split", "where"), [("train", "training"), ("test", "both")])
def test_the_same_clean_image_under_other_rain_is_found(
    change: str, split: str, where: str, root: Path
) -> None:
    save_pair(root / split, "twin", TWINS[change](photograph(2)), seed=99)
    code, report = check(root)
    assert code == 0
    assert groups(report, "shared_clean_images") == [(where, "look", ["2", "twin"])]
    assert report["byte_identical_files"] == []


def test_another_encoding_of_the_same_pixels_or_nearly_is_found(root: Path) -> None:
    save_pair(root / "train", "same", photograph(2), seed=98, suffix="bmp")
    save_pair(root / "train", "almost", photograph(4), seed=99, suffix="jpg")
    code, report = check(root)
    assert code == 0
    assert groups(report, "shared_clean_images") == [
        ("training", "pixels", ["2", "same"]),
        ("training", "look", ["4", "almost"]),
    ]
    assert report["byte_identical_files"] == []


class Stored:
    """Samples of files: (scene, file of the clean image, file of the degraded one)."""

    def __init__(self, folder: Path, rows: list[tuple[str, bytes, bytes]]) -> None:
        self.folder, self.rows = folder, rows
        for index, (_, clean, degraded) in enumerate(rows):
            (folder / f"{index}-gt.png").write_bytes(clean)
            (folder / f"{index}-in.png").write_bytes(degraded)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        _, clean, degraded = self.rows[index]
        images = [np.array(photograph(content[0])) for content in (clean, degraded)]
        return Sample(self.name(index), images[0], images[1])

    def name(self, index: int) -> str:
        return str(index)

    def scene(self, index: int) -> str:
        return self.rows[index][0]

    def size(self, index: int) -> tuple[int, int]:
        return 48, 64

    def files(self, index: int) -> list[Path]:
        return [self.folder / f"{index}-in.png", self.folder / f"{index}-gt.png"]


def test_copies_of_a_scenes_clean_image_are_how_benchmarks_are_packed(tmp_path: Path) -> None:
    rows = [("a", b"\1", b"\2"), ("a", b"\1", b"\3"), ("b", b"\4", b"\5")]
    report = examine({"train": Stored(tmp_path, rows)}, {})
    assert report.files == []
    assert report.clean == []


def test_a_clean_image_of_two_scenes_is_told_with_all_its_versions(tmp_path: Path) -> None:
    rows = [("a", b"\1", b"\2"), ("a", b"\1", b"\3"), ("b", b"\1", b"\4"), ("c", b"\5", b"\6")]
    report = examine({"train": Stored(tmp_path, rows)}, {})
    assert [[m.name for m in group.members] for group in report.clean] == [["0", "1", "2"]]


def rain800(root: Path, train: int, test: int) -> None:
    for split, numbers in (("training", range(train)), ("test_syn", range(train, train + test))):
        (root / split).mkdir(parents=True)
        for number in numbers:
            picture = Image.new("RGB", (128, 48))
            picture.paste(photograph(number), (0, 0))
            picture.paste(photograph(1000 + number), (64, 0))
            picture.save(root / split / f"{number + 1}.jpg", quality=95)


def test_other_numbers_than_the_published_ones_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rain800(tmp_path / "rain800", 4, 2)
    code, report = check(tmp_path / "rain800", "rain800")
    assert code == 0
    assert report["status"] == "warnings"
    assert report["counts"] == {
        "training": {"found": 4, "published": 700},
        "test": {"found": 2, "published": 100},
    }
    assert repeats(report) == []
    assert "training has 4 pairs, but 700 were published" in capsys.readouterr().out


def test_halves_of_rain800_are_compared_on_their_clean_side(tmp_path: Path) -> None:
    root = tmp_path / "rain800"
    rain800(root, 4, 2)
    shutil.copy(root / "training" / "1.jpg", root / "training" / "9.jpg")
    picture = Image.open(root / "training" / "2.jpg")
    picture.paste(photograph(77), (64, 0))  # other rain on the same scene
    picture.save(root / "test_syn" / "8.jpg", quality=80)
    code, report = check(root, "rain800")
    assert code == 0
    assert groups(report, "byte_identical_files") == [("training", "bytes", ["1", "9"])]
    assert groups(report, "shared_clean_images") == [("both", "look", ["2", "8"])]


@pytest.mark.parametrize("level", [".", ".."])
def test_the_root_is_the_folder_or_what_holds_it(level: str, tmp_path: Path) -> None:
    rain800(tmp_path / "data" / "rain800", 4, 2)
    report = tmp_path / "report.json"
    root = tmp_path / "data" / "rain800" / level
    with pytest.raises(SystemExit) as ended:
        main(["data", "check", "rain800", "--root", str(root), "--json", str(report)])
    assert ended.value.code == 0
    told = json.loads(report.read_text())
    assert Path(told["root"]).resolve() == tmp_path / "data" / "rain800"
    assert told["counts"]["training"]["found"] == 4


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one sentence with which a bad request ends."""
    with pytest.raises(SystemExit) as ended:
        main(["data", "check", *map(str, arguments)])
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert len(printed.err.splitlines()) == 1
    return printed.err


def test_a_wrong_level_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = tmp_path / "data" / "my_rain"
    rain800(right, 4, 2)
    assert str(right) in refusal(capsys, "rain800", "--root", tmp_path / "data")
    assert str(right) in refusal(capsys, "rain800", "--root", right / "training")


def test_bad_requests_are_one_sentence(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "/nowhere" in refusal(capsys, "rain800", "--root", "/nowhere")
    assert "rain900" in refusal(capsys, "rain900", "--root", root)
    assert "'dataset.ruel'" in refusal(capsys, "pairs", "dataset.ruel=prefix", "--root", root)
    assert "train_dir has no value" in refusal(capsys, "pairs")
    assert "draws its scenes" in refusal(capsys, "rain")
    (root / "file").touch()
    assert "file" in refusal(capsys, "pairs", "--root", root, "--json", root / "file" / "r.json")


def test_different_photographs_do_not_look_alike() -> None:
    names = ["astronaut", "chelsea", "coffee", "hubble_deep_field", "retina", "rocket"]
    photographs = [getattr(skimage.data, name)() for name in names]
    looks = [perceptual_hash(np.ascontiguousarray(image[..., :3])) for image in photographs]
    looks += [perceptual_hash(np.array(photograph(seed))) for seed in range(400)]
    assert list(near(looks)) == []


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_a_photograph_is_known_again(name: str, tmp_path: Path) -> None:
    image = Image.fromarray(getattr(skimage.data, name)())
    image.save(tmp_path / "q20.jpg", quality=20)
    noise = np.random.default_rng(0).normal(0, 20, (image.height, image.width, 3))
    twins = [
        image.resize((image.width // 3, image.height // 3), Image.Resampling.BICUBIC),
        ImageEnhance.Brightness(image).enhance(0.5),
        Image.open(tmp_path / "q20.jpg"),
        Image.fromarray(np.clip(np.array(image) + noise, 0, 255).astype(np.uint8)),
    ]
    for twin in twins:
        assert list(near([perceptual_hash(np.array(image)), perceptual_hash(np.array(twin))])) == [
            (0, 1)
        ]


def test_the_search_finds_what_comparing_all_pairs_finds() -> None:
    random = np.random.default_rng(0)
    count = 2 * BLOCK + 7
    base = random.integers(0, 2**64, 40, dtype=np.uint64)
    looks = []
    for index in range(count):
        flips = sum(1 << int(bit) for bit in random.choice(64, int(random.integers(0, 8)), False))
        thumbnail = np.zeros(1024, np.float32)
        thumbnail[:2] = (1, 0) if index % 2 else (0.97, 0.243)  # the odd and the even: 0.97
        looks.append(PerceptualHash(int(base[random.integers(40)]) ^ flips, thumbnail))
    slow = {
        (i, j)
        for i, j in combinations(range(count), 2)
        if (looks[i].bits ^ looks[j].bits).bit_count() <= 10 and i % 2 == j % 2
    }
    assert len(slow) > 1000
    found = list(near(looks))
    assert len(found) == len(set(found))
    assert set(found) == slow


def test_pairs_tie_groups_together() -> None:
    assert connected(6, [(4, 1), (3, 4), (0, 5)]) == [[0, 5], [1, 3, 4], [2]]
    assert connected(2, []) == [[0], [1]]
