"""Several data sets in one training: in the stated shares, each degraded and scored as its own."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ir_lightning.build import build
from ir_lightning.data.combining import InterleavedSource, Mixture
from ir_lightning.data.samples import Sample, files_of
from ir_lightning.errors import UsageError
from ir_lightning.launch.preflight import resolve
from ir_lightning.launch.run import run
from ir_lightning.runs.scores import read_scores
from tests.conftest import SMALL, Compose


class Numbers:
    """``count`` images; the pixels say which."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.name(index), np.full((4, 4, 3), index, np.uint8))

    def name(self, index: int) -> str:
        return f"image{index}"

    def size(self, index: int) -> tuple[int, int]:
        return 4 + index, 4

    def scene(self, index: int) -> str:
        return f"scene{index // 2}"

    def files(self, index: int) -> list[Path]:
        return [Path(f"{index}.png")]

    def check(self) -> None:
        raise UsageError(f"{self.count} broken.")


def names(source: InterleavedSource) -> list[str]:
    return [source.name(index) for index in range(len(source))]


@pytest.mark.parametrize(
    ("counts", "weights", "shares"),
    [
        ((4, 4), (1, 1), (4, 4)),
        ((2, 10), (1, 1), (10, 10)),
        ((3, 6), (0.5, 0.25), (12, 6)),
        ((100, 7), (9, 1), (100, 12)),
        ((3, 3, 3), (1, 2, 3), (3, 6, 9)),
    ],
)
def test_an_epoch_has_the_stated_shares_and_leaves_no_image_out(
    counts: tuple[int, ...], weights: tuple[float, ...], shares: tuple[int, ...]
) -> None:
    keys = "abc"[: len(counts)]
    mixture = Mixture(
        {key: Numbers(count) for key, count in zip(keys, counts, strict=True)},
        dict(zip(keys, weights, strict=True)),
    )
    found = names(mixture)
    assert Counter(name[0] for name in found) == dict(zip(keys, shares, strict=True))
    assert len(set(found)) == len(found) == sum(shares)
    assert {name.split("#")[0] for name in found} == {
        f"{key}/image{index}"
        for key, count in zip(keys, counts, strict=True)
        for index in range(count)
    }
    for key in keys:  # none is repeated more often than another, by more than once
        times = Counter(name.split("#")[0] for name in found if name[0] == key).values()
        assert max(times) - min(times) <= 1


def test_a_sample_of_the_mixture_is_that_of_its_source() -> None:
    mixture = Mixture({"a": Numbers(2), "b": Numbers(5)}, {"b": 1, "a": 1})
    assert names(mixture)[5:] == ["a/image0", "a/image1", "a/image0#2", "a/image1#2", "a/image0#3"]
    for index in range(len(mixture)):
        number = int(mixture.name(index).split("image")[1].split("#")[0])
        sample = mixture[index]
        assert sample.name == mixture.name(index)
        assert sample.clean[0, 0, 0] == number
        assert mixture.size(index) == (4 + number, 4)
        assert mixture.scene(index).endswith(f"/scene{number // 2}")
        assert files_of(mixture, index) == [Path(f"{number}.png")]
    for index in (-1, len(mixture)):
        with pytest.raises(IndexError):
            mixture.name(index)


@pytest.mark.parametrize(
    ("counts", "weights", "words"),
    [
        ({"a": 1}, {"a": 0}, r"weights\.a=0 "),
        ({"a": 1}, {"a": -1}, r"weights\.a=-1 "),
        ({"a": 1}, {"a": float("nan")}, r"weights\.a=nan "),
        ({"a": 0}, {"a": 1}, r"weights\.a=1 for 0 training images"),
        ({"a": 1, "b": 1}, {"a": 1}, "given for a, but the data sets are a, b"),
        ({"a": 1}, {"a": 1, "b": 1}, "given for a, b, but the data sets are a"),
    ],
)
def test_mixtures_that_cannot_be(
    counts: dict[str, int], weights: dict[str, float], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Mixture({key: Numbers(count) for key, count in counts.items()}, weights)


def test_the_first_few_images_judge_all_data_sets() -> None:
    together = InterleavedSource({"a": Numbers(3), "b": Numbers(1), "c": Numbers(2)})
    assert names(together) == [
        "a/image0",
        "b/image0",
        "c/image0",
        "a/image1",
        "c/image1",
        "a/image2",
    ]
    assert [together[i].clean[0, 0, 0] for i in range(6)] == [0, 0, 0, 1, 1, 2]
    with pytest.raises(UsageError, match="3 broken"):
        together.check()


def test_each_data_set_is_degraded_by_its_own_model(composed: Compose) -> None:
    whole = ["budget.test_images=null", "budget.evaluation_side=null"]
    config = resolve(composed(*SMALL, "dataset=all_in_one", *whole))
    data = build(config["data"], "data")
    found = {pair["name"]: pair for pair in map(data.test_pairs.__getitem__, range(6))}
    for dataset in ("noise", "haze", "rain"):
        alone = build(resolve(composed(*SMALL, f"dataset={dataset}", *whole))["data"], "data")
        own, place = alone.test_pairs.make, list(found).index(f"{dataset}/chelsea")
        seed = 2212 + place  # evaluation degrades image i with this seed plus i
        expected = own(alone.test_pairs.source[0], seed)
        pair = found[f"{dataset}/chelsea"]
        assert np.array_equal(pair["clean"], expected["clean"])
        assert np.array_equal(pair["degraded"], expected["degraded"])
        assert not np.array_equal(pair["degraded"], pair["clean"])


@pytest.mark.slow
def test_real_pairs_may_take_part(composed: Compose, benchmarks: Path) -> None:
    config = composed(
        *SMALL,
        "dataset=all_in_one",
        "dataset@dataset.parts.rain=rain800",
        f"paths.data={benchmarks}",
        "dataset.weights={noise: 1, haze: 1, rain: 2}",
        "budget.test_images=3",
    )
    result = run(config, [])
    assert result["status"] == "finished"
    run_dir = next(Path(config.paths.runs).iterdir())
    images = read_scores(run_dir).drop_duplicates("image")
    assert list(images["image"]) == ["noise/chelsea", "haze/chelsea", "rain/1"]
    assert list(images["scene"]) == ["noise/chelsea", "haze/chelsea", "rain/1"]
    assert list(images["dataset"]) == ["noise", "haze", "rain"] == list(result["by_dataset"])
