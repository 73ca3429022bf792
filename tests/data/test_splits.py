"""No scene stands on both sides of a split, and everybody who cuts it cuts it alike."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ir_lightning.data.combining import SceneSplit, Subset, held_out, large_enough, scenes_first
from ir_lightning.data.image_files import write_image
from ir_lightning.data.module import EvaluationPairs
from ir_lightning.data.pair_maker import PairMaker
from ir_lightning.data.pairs import PairedFolders, SideBySideFolder
from ir_lightning.data.samples import Sample, files_of
from ir_lightning.errors import UsageError
from tests.conftest import Fill


class Scenes:
    """A source of ``count`` images, ``shots`` of each scene."""

    def __init__(self, count: int, shots: int) -> None:
        self.keys = [f"scene{i // shots}" for i in range(count)]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.name(index), np.full((1, 1, 3), index, np.uint8))

    def name(self, index: int) -> str:
        return f"image{index}"

    def scene(self, index: int) -> str:
        return self.keys[index]


def parts(source: Scenes, **options: float) -> tuple[SceneSplit, SceneSplit]:
    return SceneSplit(source, "train", **options), SceneSplit(source, "validation", **options)


def test_a_split_keeps_scenes_whole_and_loses_nothing() -> None:
    source = Scenes(200, shots=5)
    train, validation = parts(source, fraction=0.25)
    names = [[part.name(i) for i in range(len(part))] for part in (train, validation)]
    scenes = [{part.scene(i) for i in range(len(part))} for part in (train, validation)]
    assert sorted(names[0] + names[1]) == sorted(f"image{i}" for i in range(200))
    assert not scenes[0] & scenes[1]
    assert len(scenes[1]) == 10
    for part in (train, validation):
        for index in (0, len(part) - 1):
            assert part[index].name == part.name(index) == f"image{part[index].clean[0, 0, 0]}"


def test_a_split_is_decided_by_scene_keys_and_seed_alone() -> None:
    def held_out(source: Scenes, seed: int) -> set[str]:
        validation = SceneSplit(source, "validation", fraction=0.2, seed=seed)
        return {validation.scene(i) for i in range(len(validation))}

    source, reversed_source = Scenes(100, shots=2), Scenes(100, shots=2)
    reversed_source.keys.reverse()
    assert held_out(source, 0) == held_out(reversed_source, 0)
    assert held_out(source, 0) != held_out(source, 1)
    # A split that changed with the version of the program would leak into a continued experiment.
    assert held_out(Scenes(20, shots=2), 0) == {"scene8", "scene9"}


@pytest.mark.parametrize(
    ("scenes", "fraction", "expected"), [(2, 0.01, 1), (2, 0.99, 1), (40, 0.05, 2)]
)
def test_both_parts_have_at_least_one_scene(scenes: int, fraction: float, expected: int) -> None:
    train, validation = parts(Scenes(scenes, shots=1), fraction=fraction)
    assert (len(train), len(validation)) == (scenes - expected, expected)


@pytest.mark.parametrize(
    ("scenes", "part", "fraction", "words"),
    [
        (5, "test", 0.1, "part=test"),
        (5, "train", 0.0, "fraction=0.0"),
        (5, "train", 1.0, "fraction=1.0"),
        (1, "train", 0.5, "1 scene"),
    ],
)
def test_splits_that_cannot_work(scenes: int, part: str, fraction: float, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        SceneSplit(Scenes(scenes, shots=1), part, fraction)


def test_degraded_versions_of_one_clean_image_stay_together(fill: Fill) -> None:
    hazy = fill("hazy", [f"{i}_{k}.png" for i in range(10) for k in range(3)])
    source = PairedFolders(hazy, fill("gt", [f"{i}.png" for i in range(10)]), rule="prefix")
    validation = SceneSplit(source, "validation", fraction=0.1)
    assert len(validation) == 3
    assert len({validation.scene(i) for i in range(3)}) == 1


def test_a_part_is_checked_through_its_source(fill: Fill) -> None:
    folder = fill("both", ["1.png", "2.png"])
    train, validation = (
        SceneSplit(SideBySideFolder(folder, "clean"), part) for part in ("train", "validation")
    )
    train.check()
    write_image(folder / "2.png", np.zeros((4, 9, 3), np.uint8))
    for part in (train, validation):
        with pytest.raises(UsageError, match=r"2\.png"):
            part.check()
    SceneSplit(Scenes(4, shots=1), "train").check()  # a source without files has nothing to check


def test_a_part_knows_its_files_and_sizes(fill: Fill) -> None:
    source = PairedFolders(*(fill(f, ["1.png", "2.png", "3.png"]) for f in ("rain", "gt")))
    part = Subset(source, [2, 0])
    assert [file.name for i in range(2) for file in files_of(part, i)] == ["3.png"] * 2 + [
        "1.png"
    ] * 2
    assert part.size(0) == (6, 8)
    assert files_of(Subset(Scenes(2, shots=1), [0]), 0) == []


def test_scenes_come_first_and_then_more_of_each() -> None:
    source = Scenes(7, shots=3)  # 0 1 2, 3 4 5, 6
    assert scenes_first(source) == [0, 4, 6, 1, 5, 2, 3]
    assert scenes_first(Scenes(4, shots=1)) == [0, 1, 2, 3]


def test_images_of_all_kinds_are_among_the_first() -> None:
    source = Scenes(600, shots=15)  # as Outdoor-Rain: each scene has the same 15 kinds
    first = scenes_first(source)[:40]
    assert [index // 15 for index in first] == list(range(40))
    assert {index % 15 for index in first} == set(range(15))


def degraded_by_seed(clean: Tensor, _: Tensor | None, seed: list[int]) -> Tensor:
    return torch.full_like(clean, seed[0] % 256 / 255)


def test_which_images_are_taken_changes_nothing_in_them() -> None:
    source, make = Scenes(12, shots=3), PairMaker(degraded_by_seed, "degraded")
    every = {pair["name"]: pair for pair in EvaluationPairs(source, make)}
    for order, expected in ((None, [0, 1, 2, 3]), ("scenes", [0, 4, 8, 9])):
        pairs = [*EvaluationPairs(source, make, 4, order=order)]
        assert [pair["name"] for pair in pairs] == [f"image{i}" for i in expected]
        for pair in pairs:
            assert pair["scene"] == every[pair["name"]]["scene"]
            assert torch.equal(pair["degraded"], every[pair["name"]]["degraded"])


@pytest.mark.parametrize("keys", [9000, 600])
def test_a_fifth_is_a_fifth(keys: int) -> None:
    every = {str(key) for key in range(keys)}
    held = held_out(every, 0.2, seed=0)
    assert len(held) == keys / 5
    assert held < every
    assert held_out(every, 0.2, seed=1) != held


def test_small_images_can_be_left_out(fill: Fill) -> None:
    folder = fill("photos", [])
    for name, size in (("a", (6, 20)), ("b", (10, 20)), ("c", (20, 9)), ("d", (11, 24))):
        write_image(folder / f"{name}.png", np.zeros((*size, 3), np.uint8))
    source = SideBySideFolder(folder, "clean")
    kept = large_enough(source, 10)
    assert [kept.name(i) for i in range(len(kept))] == ["b", "d"]
    assert len(large_enough(source, 100)) == 0
