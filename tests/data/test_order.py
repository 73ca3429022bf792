"""Order and augmentation are pure functions of (seed, epoch, index)."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.module import RestorationData, TrainingOrder
from ir_lightning.data.samples import Sample


class Numbered:
    """Source of images whose pixels tell the image and the position: 10 images of 40 x 50."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Sample:
        rows, columns = np.mgrid[:40, :50].astype(np.uint8)
        clean = np.stack([np.full_like(rows, index), rows, columns], axis=-1)
        depth = (rows / 39).astype(np.float32)
        return Sample(self.name(index), clean, clean + 100, depth)

    def name(self, index: int) -> str:
        return f"image {index}"

    def scene(self, index: int) -> str:
        return self.name(index)


def data(workers: int = 0, seed: int = 0, start: int = 0) -> RestorationData:
    source = Numbered()
    module = RestorationData(
        train=source,
        validation=source,
        test=source,
        composition=None,
        input="degraded",
        augment=PairedAugment(crop=16, rotate90=True),
        seed=seed,
        iterations=12,
        batch=2,
        validation_images=None,
        test_images=3,
        workers=workers,
    )
    module.start = start
    return module


def batches(module: RestorationData) -> list[torch.Tensor]:
    return [torch.cat([b["degraded"], b["clean"]]) for b in module.train_dataloader()]


def test_every_epoch_shows_each_image_once_in_another_order() -> None:
    draws = list(TrainingOrder(images=10, seed=3, batch=5, start=0, stop=4))
    first, second = draws[:10], draws[10:]
    assert [epoch for epoch, _ in draws] == [0] * 10 + [1] * 10
    assert sorted(i for _, i in first) == sorted(i for _, i in second) == list(range(10))
    assert [i for _, i in first] != [i for _, i in second]


def test_a_resumed_order_is_the_rest_of_the_whole_one() -> None:
    whole = list(TrainingOrder(images=7, seed=1, batch=3, start=0, stop=9))
    rest = list(TrainingOrder(images=7, seed=1, batch=3, start=4, stop=9))
    assert rest == whole[4 * 3 :]


@pytest.mark.parametrize("workers", [2, 4])
def test_samples_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    alone, together = batches(data()), batches(data(workers))
    assert len(alone) == 12
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_resumed_loader_gives_the_batches_that_were_left() -> None:
    whole, rest = batches(data()), batches(data(start=5))
    assert all(torch.equal(a, b) for a, b in zip(whole[5:], rest, strict=True))


def test_another_seed_and_another_epoch_give_other_crops() -> None:
    def crops(module: RestorationData) -> Iterator[bytes]:
        return (image.numpy().tobytes() for batch in batches(module) for image in batch[2:])

    first = list(crops(data(seed=0)))
    assert set(first).isdisjoint(crops(data(seed=1)))
    # 24 draws of 10 images: nothing but a new crop for each epoch makes them all different.
    assert len(set(first)) == len(first)


def test_both_images_and_the_depth_are_cut_at_the_same_place() -> None:
    augment = PairedAugment(crop=16, flip=True, rotate90=True)
    for seed in range(20):
        cut = augment(Numbered()[4], seed)
        assert cut.degraded is not None
        assert cut.depth is not None
        assert cut.clean.shape == (16, 16, 3)
        np.testing.assert_array_equal(cut.degraded, cut.clean + 100)
        np.testing.assert_allclose(cut.depth * 39, cut.clean[..., 1], atol=1e-4)


def test_a_crop_is_a_function_of_its_seed() -> None:
    augment = PairedAugment(crop=16)
    first = [augment(Numbered()[0], seed).clean for seed in (5, 6, 5)]
    np.testing.assert_array_equal(first[0], first[2])
    assert not np.array_equal(first[0], first[1])


def test_an_image_smaller_than_the_crop_is_padded_by_reflection() -> None:
    cut = PairedAugment(crop=64, flip=False)(Numbered()[0], seed=0)
    assert cut.clean.shape == (64, 64, 3)
    assert cut.clean[..., 1].max() == 39


def test_evaluation_images_are_the_same_for_every_seed() -> None:
    first, second = data(seed=0).test_dataloader(), data(seed=1).test_dataloader()
    assert len(first) == 3
    for a, b in zip(first, second, strict=True):
        assert a["name"] == b["name"]
        assert torch.equal(a["degraded"], b["degraded"])
