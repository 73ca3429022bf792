"""Dead leaves: the statistics of photographs, and a depth that is the order of occlusion."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from ir_lightning.data.samples import Sample
from ir_lightning.data.synthetic import dead_leaves
from ir_lightning.data.synthetic.dead_leaves import DeadLeaves
from ir_lightning.errors import UsageError


def samples(source: DeadLeaves) -> list[Sample]:
    return [source[index] for index in range(len(source))]


def test_the_radii_follow_the_scale_invariant_law() -> None:
    radius = np.sort(dead_leaves.radii(np.random.default_rng(0), 20_000, 3, 60))
    # The integral of r^-3 from 3 to r, as a part of that from 3 to 60.
    expected = (3**-2 - radius**-2) / (3**-2 - 60**-2)
    measured = np.arange(1, 20_001) / 20_000
    assert np.abs(expected - measured).max() < 1.6 / np.sqrt(20_000)  # Kolmogorov and Smirnov


@pytest.fixture(scope="module")
def leaves() -> Iterator[DeadLeaves]:
    yield DeadLeaves(count=6, size=256, seed=3)
    dead_leaves._scene.cache_clear()


def test_dead_leaves_have_the_power_spectrum_of_photographs(leaves: DeadLeaves) -> None:
    y, x = np.indices((256, 256)) - 128
    ring = np.hypot(y, x).round().astype(int)
    window = np.outer(np.hanning(256), np.hanning(256))
    gray = np.stack([sample.clean.mean(2) / 255 for sample in samples(leaves)])
    spectrum = np.fft.fft2((gray - gray.mean()) * window)
    power = np.fft.fftshift((np.abs(spectrum) ** 2).mean(0))
    frequency = np.arange(4, 65)
    mean_power = [power[ring == f].mean() for f in frequency]
    slope, _ = np.polyfit(np.log(frequency), np.log(mean_power), 1)
    assert -3.2 < slope < -1.8  # photographs: about -2, from -1.5 to -3


def test_dead_leaves_are_coloured_like_a_scene_and_not_flat(leaves: DeadLeaves) -> None:
    for sample in samples(leaves):
        channels = sample.clean.reshape(-1, 3).T / 255
        red, *others = channels
        assert min(np.corrcoef(red, other)[0, 1] for other in others) > 0.5
        assert channels.std() > 0.1
        still = (np.diff(sample.clean.astype(int), axis=1) == 0).all(2)
        assert still.mean() < 0.5


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (40, 90), (64, 64)], ids=str)
def test_leaves_cover_the_frame(size: tuple[int, int]) -> None:
    labels = dead_leaves.scatter(np.random.default_rng(0), *size, 4.0, 20.0)
    assert labels.shape == size
    assert labels.min() >= 0


def test_a_leaf_is_seen_where_no_earlier_leaf_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    thrown: list[np.ndarray] = []
    draw = dead_leaves.outlines

    def recording(*args: Any) -> dead_leaves.Labels:
        outline = draw(*args)
        thrown.extend(outline)
        return outline

    monkeypatch.setattr(dead_leaves, "outlines", recording)
    labels = dead_leaves.scatter(np.random.default_rng(1), 40, 40, 5.0, 20.0)
    compared = 0
    for y, x in np.ndindex(labels.shape):
        inside = [
            cv2.pointPolygonTest(outline, (float(x), float(y)), measureDist=True)
            for outline in thrown[: labels[y, x] + 1]
        ]
        if np.abs(inside).min() > 1.5:  # away from the edges, where rasterisers differ
            compared += 1
            assert np.argmax(np.array(inside) > 0) == labels[y, x]
    assert compared > 200


def test_the_depth_is_the_order_of_occlusion(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.repeat(np.repeat(np.array([[2, 7], [7, 900]], np.int32), 8, 0), 8, 1)
    monkeypatch.setattr(dead_leaves, "scatter", lambda *_: labels)
    depth = DeadLeaves(count=1, size=8, seed=123)[0].depth
    dead_leaves._scene.cache_clear()
    assert depth is not None
    assert depth.dtype == np.float32
    assert np.array_equal(np.unique(depth), [0, 0.5, 1])
    assert np.array_equal(depth[::7, ::7], [[0, 0.5], [0.5, 1]])


def test_a_scene_is_a_function_of_seed_and_index(leaves: DeadLeaves) -> None:
    first = leaves[4]
    dead_leaves._scene.cache_clear()
    again = DeadLeaves(count=100, size=(256, 256), seed=3)[4]
    assert np.array_equal(first.clean, again.clean)
    assert first.depth is not None
    assert again.depth is not None
    assert np.array_equal(first.depth, again.depth)
    assert not np.array_equal(first.clean, leaves[5].clean)
    assert not np.array_equal(first.clean, DeadLeaves(count=5, size=256, seed=4)[4].clean)


def test_leaves_of_any_shape() -> None:
    for size in [(1, 1), (3, 5), (20, 70)]:
        sample = DeadLeaves(count=1, size=size)[0]
        assert sample.clean.shape == (*size, 3)
        assert sample.depth is not None
        assert sample.depth.shape == size
    with pytest.raises(UsageError, match=r"size=\[0, 0\]"):
        DeadLeaves(count=1, size=0)
    with pytest.raises(UsageError, match=r"radius=\[9, 3\]"):
        DeadLeaves(count=1, radius=[9, 3])
