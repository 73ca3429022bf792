"""Augmentation: the eight symmetries, everywhere equally likely, and only the crop is read."""

from collections import Counter

import albumentations as A
import numpy as np
import pytest
from numpy.typing import NDArray

from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.samples import Sample


def numbered(height: int, width: int) -> Sample:
    """A sample whose pixels tell where they are."""
    rows, columns = np.mgrid[:height, :width]
    clean = np.stack([rows, columns, rows + columns], axis=-1).astype(np.uint8)
    return Sample("numbered", clean, clean + 100, (rows / height).astype(np.float32))


def shape_of(crop: NDArray[np.uint8]) -> tuple[int, bool]:
    """(quarter turns, mirrored) of a crop of :func:`numbered`, found by trying them all."""
    top, left = int(crop[..., 0].min()), int(crop[..., 1].min())
    straight = numbered(64, 64).clean[top : top + len(crop), left : left + len(crop)]
    found = [
        (turns, mirrored)
        for turns in range(4)
        for mirrored in (False, True)
        if np.array_equal(np.rot90(straight[:, ::-1] if mirrored else straight, turns), crop)
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("flip", "rotate90"), [(False, False), (True, False), (False, True), (True, True)]
)
def test_all_symmetries_that_were_asked_for_are_equally_likely(flip: bool, rotate90: bool) -> None:
    augment = PairedAugment(8, flip=flip, rotate90=rotate90)
    sample = numbered(20, 24)
    seen = Counter(shape_of(augment(sample, seed).clean) for seed in range(800))
    turns, mirrors = range(4 if rotate90 else 1), (False, True) if flip else (False,)
    assert set(seen) == {(turn, mirrored) for turn in turns for mirrored in mirrors}
    expected = 800 / len(seen)
    assert all(abs(count - expected) < 5 * expected**0.5 for count in seen.values())


def test_every_position_is_reached_up_to_the_border() -> None:
    augment = PairedAugment(8, flip=False)
    corners = {
        (int(crop[0, 0, 0]), int(crop[0, 0, 1]))
        for crop in (augment(numbered(10, 11), seed).clean for seed in range(400))
    }
    assert corners == {(top, left) for top in range(3) for left in range(4)}


def test_switching_turns_on_moves_no_crop() -> None:
    sample = numbered(40, 50)
    for seed in range(10):
        plain = PairedAugment(8, flip=False)(sample, seed).clean
        turned = PairedAugment(8, flip=True, rotate90=True)(sample, seed).clean
        assert sorted(map(tuple, plain.reshape(-1, 3))) == sorted(map(tuple, turned.reshape(-1, 3)))


@pytest.mark.parametrize("size", [(5, 40), (40, 5), (5, 7), (16, 16)])
def test_a_small_image_is_padded_by_reflection_on_both_sides(size: tuple[int, int]) -> None:
    sample = numbered(*size)
    cut = PairedAugment(16, flip=False)(sample, seed=3)
    missing = [max(16 - side, 0) for side in size]
    padding = [(m // 2, m - m // 2) for m in missing]
    assert cut.clean.shape == (16, 16, 3)
    top, left = (int(cut.clean[padding[0][0], padding[1][0], channel]) for channel in (0, 1))
    part = sample.clean[top : top + 16, left : left + 16]
    np.testing.assert_array_equal(cut.clean, np.pad(part, [*padding, (0, 0)], mode="reflect"))


def test_a_crop_is_a_copy_of_its_own() -> None:
    sample = numbered(20, 20)
    for image in (sample.clean, sample.degraded, sample.depth):
        assert image is not None
        image.flags.writeable = False
    for seed in range(4):
        for crop in (8, 20):
            cut = PairedAugment(crop, rotate90=True)(sample, seed)
            for piece, whole in ((cut.clean, sample.clean), (cut.depth, sample.depth)):
                assert piece is not None
                assert whole is not None
                assert piece.flags.writeable
                assert piece.flags.c_contiguous
                assert not np.shares_memory(piece, whole)


def test_albumentations_of_the_user_see_the_crop_with_one_draw_for_both_images() -> None:
    sample = numbered(40, 40)
    twins = Sample("twins", sample.clean, sample.clean.copy(), sample.depth)
    augment = PairedAugment(16, flip=False, extra=[A.RandomBrightnessContrast(p=1.0)])
    first, again, other = (augment(twins, seed) for seed in (1, 1, 2))
    plain = PairedAugment(16, flip=False)(twins, 1)
    assert first.degraded is not None
    np.testing.assert_array_equal(first.clean, first.degraded)
    np.testing.assert_array_equal(first.clean, again.clean)
    assert not np.array_equal(first.clean, plain.clean)
    np.testing.assert_array_equal(first.depth, plain.depth)  # a mask has no brightness
    assert not np.array_equal(first.clean.astype(int) - other.clean, np.zeros_like(first.clean))
