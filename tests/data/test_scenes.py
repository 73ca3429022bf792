"""The clean scenes: what they show, what they know of depth, and how they are split."""

import subprocess
import sys
import zlib
from functools import cache
from itertools import combinations

import numpy as np
import pytest
import skimage.data
from hydra.utils import instantiate
from omegaconf import DictConfig

from ir_lightning.data.audit.duplicates import near, perceptual_hash
from ir_lightning.data.combining import Concat
from ir_lightning.data.degradations.models import Rain
from ir_lightning.data.module import EvaluationPairs
from ir_lightning.data.pair_maker import PairMaker
from ir_lightning.data.samples import Sample, Source
from ir_lightning.data.synthetic.crops import Crops
from ir_lightning.data.synthetic.dead_leaves import DeadLeaves
from ir_lightning.data.synthetic.depth import (
    GroundPlane,
    Incline,
    filled,
    from_disparity,
    ground_plane,
    right_view,
)
from ir_lightning.data.synthetic.photographs import FILES, Photographs, motorcycle_disparity
from ir_lightning.errors import UsageError
from ir_lightning.launch.config import load_config

DATASETS = ["noise", "haze", "rain", "rain_strong", "rain_density", "rain_haze", "heavy_rain"]
CALIBRATION = 31.086  # of the motorcycle's cameras, as scikit-image documents it


def samples(source: Source) -> list[Sample]:
    return [source[index] for index in range(len(source))]


# Photographs.


def test_photographs_are_those_of_scikit_image() -> None:
    source = Photographs(["chelsea", "coffee", "rocket", "motorcycle_right"])
    left, right, _ = skimage.data.stereo_motorcycle()
    expected = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket(), right]
    for sample, image in zip(samples(source), expected, strict=True):
        assert np.array_equal(sample.clean, image)
        assert sample.clean.dtype == np.uint8
    assert np.array_equal(Photographs(["motorcycle_left"])[0].clean, left)


@pytest.mark.parametrize("name", FILES)
def test_every_photograph_has_a_relative_depth(name: str) -> None:
    sample = Photographs([name])[0]
    assert sample.name == name
    assert sample.degraded is None
    assert sample.depth is not None
    assert sample.depth.dtype == np.float32
    assert sample.depth.shape == sample.clean.shape[:2]
    assert (sample.depth.min(), sample.depth.max()) == (0, 1)


def test_draws_repeat_a_photograph_under_other_names() -> None:
    source = Photographs(["chelsea", "coffee"], draws=3)
    names = [source.name(i) for i in range(len(source))]
    assert names == ["chelsea-1", "chelsea-2", "chelsea-3", "coffee-1", "coffee-2", "coffee-3"]
    assert names == [sample.name for sample in samples(source)]
    assert [source.scene(i) for i in range(6)] == ["chelsea"] * 3 + ["coffee"] * 3
    assert np.array_equal(source[0].clean, source[2].clean)
    assert source[3].clean.shape == (400, 600, 3)


def test_the_two_views_of_the_motorcycle_are_one_scene() -> None:
    source = Photographs(["motorcycle_left", "motorcycle_right"])
    assert source.scene(0) == source.scene(1)


def test_unknown_photographs_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'lena'.*astronaut.*rocket"):
        Photographs(["chelsea", "lena"])
    with pytest.raises(UsageError, match="draws=0"):
        Photographs(["chelsea"], draws=0)
    with pytest.raises(UsageError, match="give one or more of"):
        Photographs([])


# Depth.


def test_the_motorcycle_s_depth_is_that_of_its_disparity() -> None:
    disparity = motorcycle_disparity()
    depth = Photographs(["motorcycle_left"])[0].depth
    assert depth is not None
    known = np.isfinite(disparity)
    assert 0.9 < known.mean() < 0.95
    # Distance is focal length * baseline / (disparity + offset); the factor cancels.
    distance = 994.978 * 193.001 / (disparity[known].astype(np.float64) + CALIBRATION)
    relative = (distance - distance.min()) / (distance.max() - distance.min())
    np.testing.assert_allclose(depth[known], relative, atol=1e-5)
    order = np.argsort(disparity[known])
    assert (np.diff(depth[known][order]) <= 0).all()


def test_unknown_disparities_take_the_background_beside_them() -> None:
    inf = np.inf
    disparity = np.array([[inf, 9, inf, inf, 4, inf], [inf] * 6, [2, inf, 7, 7, 7, 7]], np.float32)
    expected = [[9, 9, 4, 4, 4, 4], [2, 2, 2, 2, 2, 2], [2, 2, 7, 7, 7, 7]]
    assert np.array_equal(filled(disparity), expected)


def test_the_right_camera_sees_near_points_farther_left_and_before_the_others() -> None:
    disparity = np.array([[1, 1, 1, 3, 3, 1, np.inf]], np.float32)
    # Columns 3 and 4 move to 0 and 1 and hide what 1 and 2 bring there; 5 moves to 4.
    expected = [[3, 3, np.nan, np.nan, 1, np.nan, np.nan]]
    assert np.array_equal(right_view(disparity), expected, equal_nan=True)


def test_the_right_view_s_disparity_leads_back_to_the_left_photograph() -> None:
    views = samples(Photographs(["motorcycle_left", "motorcycle_right"]))
    left, right = (view.clean for view in views)
    disparity = right_view(motorcycle_disparity())
    rows, columns = np.nonzero(np.isfinite(disparity))
    source = np.rint(columns + disparity[rows, columns]).astype(int)
    inside = source < left.shape[1]
    rows, columns, source = rows[inside], columns[inside], source[inside]
    here = right[rows, columns].astype(float)
    matched = np.abs(here - left[rows, source]).mean()
    unmoved = np.abs(here - left[rows, columns]).mean()
    wrong_way = np.abs(here - left[rows, np.maximum(2 * columns - source, 0)]).mean()
    assert matched < 0.4 * min(unmoved, wrong_way)
    depth = Photographs(["motorcycle_right"])[0].depth
    assert depth is not None
    assert np.corrcoef(depth[rows, columns], 1 / (disparity[rows, columns] + CALIBRATION))[
        0, 1
    ] == pytest.approx(1, abs=1e-4)


def test_a_flat_disparity_is_a_flat_depth() -> None:
    assert not from_disparity(np.full((3, 4), 5, np.float32), 1.0).any()


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (300, 200)], ids=str)
def test_the_made_up_depth_rises_smoothly_to_the_horizon(size: tuple[int, int]) -> None:
    depth = ground_plane(*size, seed=1)
    assert depth.shape == size
    assert np.array_equal(depth, ground_plane(*size, seed=1))
    if size == (300, 200):
        assert (depth[-30:] < 0.2).all()
        assert depth[:100].mean() > 0.5
        assert max(np.abs(np.diff(depth, axis=axis)).max() for axis in (0, 1)) < 0.05
        assert not np.array_equal(depth, ground_plane(*size, seed=2))


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (300, 200)], ids=str)
def test_an_incline_rises_to_the_upper_edge_without_a_horizon(size: tuple[int, int]) -> None:
    depth = Incline()(*size, seed=1)
    assert depth.shape == size
    assert np.array_equal(depth, Incline()(*size, seed=1))
    if size == (300, 200):
        assert (depth.min(), depth.max()) == (0, 1)
        means = [Incline()(*size, seed=seed).mean(1) for seed in range(20)]
        thirds = [part.mean() for part in np.array_split(np.mean(means, axis=0), 3)]
        assert thirds[0] > thirds[1] + 0.15 > thirds[2] + 0.2
        # A third of which is not equally far, as above a horizon it is.
        upper = np.mean([np.ptp(Incline()(*size, seed=s)[:100], axis=0).mean() for s in range(20)])
        flat = np.mean([np.ptp(ground_plane(*size, seed=s)[:90], axis=0).mean() for s in range(20)])
        assert upper > 0.25
        assert upper > 1.3 * flat


def test_an_incline_without_variation_is_exponential() -> None:
    depth = Incline(rise=1.5, variation=0)(50, 3, seed=0)
    row = np.linspace(1.5, 0, 50)
    expected = (np.exp(row) - 1) / (np.exp(1.5) - 1)
    np.testing.assert_allclose(depth, np.repeat(expected[:, None], 3, 1), atol=1e-6)


def test_an_impossible_incline_is_refused() -> None:
    with pytest.raises(UsageError, match="rise=-1"):
        Incline(rise=-1)
    with pytest.raises(UsageError, match="variation="):
        Incline(variation="much")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DATASETS)
def test_one_law_of_depth_in_training_validation_and_test(name: str) -> None:
    config = dataset(name)
    law = GroundPlane if name == "rain_haze" else Incline
    for part in ("train", "validation", "test"):
        found = []
        pending = [instantiate(config[part].built_in)]
        while pending:
            source = pending.pop()
            pending += getattr(source, "sources", []) or []
            pending += [source.source] if hasattr(source, "source") else []
            found += [source.depth] if isinstance(source, Photographs) else []
        assert found
        assert {type(each) for each in found} == {law}
        assert instantiate(config[part].depth) == law()


def test_without_a_law_the_depth_is_that_of_a_ground_plane() -> None:
    for name in ("chelsea", "moon"):
        old, new = (Photographs([name], depth=law)[0].depth for law in (None, Incline()))
        assert old is not None
        expected = ground_plane(*old.shape, zlib.crc32(name.encode()))
        assert np.array_equal(old, expected)
        assert not np.array_equal(old, new)


# Crops.


def test_crops_are_parts_of_their_images_with_their_depth() -> None:
    whole = Photographs(["chelsea", "coffee"], draws=2)
    crops = Crops(whole, size=50, seed=3)
    places = []
    for index in range(len(crops)):
        cut, image = crops[index], whole[index]
        assert (cut.name, crops.scene(index)) == (whole.name(index), whole.scene(index))
        assert cut.clean.shape == (*crops.size(index), 3) == (50, 50, 3)
        windows = np.lib.stride_tricks.sliding_window_view(image.clean, (50, 50), axis=(0, 1))
        found = np.argwhere((windows[..., 0, 0] == cut.clean[0, 0]).all(2))
        (place,) = [
            (y, x)
            for y, x in found
            if np.array_equal(image.clean[y : y + 50, x : x + 50], cut.clean)
        ]
        assert image.depth is not None
        assert cut.depth is not None
        y, x = place
        assert np.array_equal(cut.depth, image.depth[y : y + 50, x : x + 50])
        places.append((index // 2, place))
    assert len(set(places)) == 4  # of one photograph, two parts
    assert np.array_equal(Crops(whole, 50, seed=3)[1].clean, crops[1].clean)
    assert not np.array_equal(Crops(whole, 50, seed=4)[1].clean, crops[1].clean)


def test_crops_larger_than_an_image_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"chelsea is 451 x 300 pixels, too small for crops of 301"
    ):
        Crops(Photographs(["chelsea"]), size=301)


# All sources.


@pytest.mark.parametrize(
    "source",
    [
        Photographs(["chelsea"], draws=2),
        DeadLeaves(count=2, size=16),
        Concat({"a": Photographs(["chelsea"]), "b": DeadLeaves(count=1, size=16)}),
        Crops(Photographs(["chelsea"], draws=2), size=20),
    ],
    ids=["photographs", "dead leaves", "concat", "crops"],
)
def test_a_source_ends_and_cannot_be_written_into(source: Source) -> None:
    assert len(source) == len(samples(source)) == 2
    for index in (-1, 2):
        for ask in (source.__getitem__, source.name, source.size, source.scene):
            with pytest.raises(IndexError):
                ask(index)
    for index in range(2):
        assert source.size(index) == source[index].clean.shape[:2]
    sample = source[1]
    assert sample.depth is not None
    for image in (sample.clean, sample.depth):
        with pytest.raises(ValueError, match="read-only"):
            image[:] = 0


def test_concat_lines_its_sources_up() -> None:
    cats, cups = Photographs(["chelsea"], draws=2), Photographs(["coffee"])
    both = Concat({"cats": cats, "cups": cups})
    assert [both.name(i) for i in range(3)] == ["chelsea-1", "chelsea-2", "coffee"]
    assert [both.scene(i) for i in range(3)] == ["chelsea", "chelsea", "coffee"]
    assert [sample.name for sample in samples(both)] == ["chelsea-1", "chelsea-2", "coffee"]
    assert np.array_equal(both[2].clean, cups[0].clean)


def test_concat_checks_what_can_be_checked() -> None:
    class Broken(Photographs):
        def check(self) -> None:
            raise UsageError("broken.png is broken.")

    Concat({"good": Photographs(["coffee"])}).check()
    with pytest.raises(UsageError, match=r"broken\.png"):
        Concat({"good": Photographs(["coffee"]), "bad": Broken(["chelsea"])}).check()


def test_concat_refuses_two_samples_of_one_name() -> None:
    with pytest.raises(UsageError, match=r"'coffee'.*sources\.one.*sources\.two"):
        Concat({"one": Photographs(["coffee"]), "two": Photographs(["chelsea", "coffee"])})


def test_sources_import_neither_torch_nor_scikit_image() -> None:
    program = (
        "import sys; import ir_lightning.data.synthetic.photographs as p; "
        "import ir_lightning.data.combining; "
        "import ir_lightning.data.synthetic.dead_leaves; p.Photographs(['chelsea'])[0]; "
        "print(sorted({'torch', 'skimage', 'scipy', 'pooch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


# The data sets of the configuration.


@cache
def dataset(name: str, *overrides: str) -> DictConfig:
    return load_config([f"dataset={name}", *overrides]).dataset


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_is_what_the_data_module_expects(name: str) -> None:
    config = dataset(name)
    splits = {"train", "validation", "test"}
    assert set(config) == {"name", "crop", "small_images", "store", "composition", *splits}
    assert config.name == name
    assert config.crop == (512 if name == "rain_haze" else 256)
    train = instantiate(config.train)
    small = any(min(train.size(i)) < config.crop for i in range(len(train)))
    assert config.small_images == ("pad" if small else "refuse")


@pytest.mark.parametrize("name", DATASETS)
def test_no_scene_stands_on_two_sides_of_a_split(name: str) -> None:
    config = dataset(name)
    sides = {side: instantiate(config[side]) for side in ("train", "validation", "test")}
    scenes = {side: {source.scene(i) for i in range(len(source))} for side, source in sides.items()}
    for one, other in combinations(scenes.values(), 2):
        assert not one & other
    photographs = Photographs(list(FILES))
    known = {photographs.scene(i) for i in range(len(photographs))}
    assert known <= set.union(*scenes.values())
    names = [source.name(i) for source in sides.values() for i in range(len(source))]
    assert len(names) == len(set(names))
    for side, images, different in (("validation", 16, 16), ("test", 72, 67)):
        assert (len(sides[side]), len(scenes[side])) == (images, different)
    assert {"chelsea", "coffee"} < scenes["test"]


def test_no_picture_of_a_test_set_is_trained_on_under_another_name() -> None:
    config = dataset("rain")
    looks = {
        side: [perceptual_hash(sample.clean) for sample in samples(instantiate(config[side]))]
        for side in ("train", "validation", "test")
    }
    for one, other in combinations(looks, 2):
        first = len(looks[one])
        across = [(i, j) for i, j in near([*looks[one], *looks[other]]) if i < first <= j]
        assert not across, (one, other)


def test_a_small_share_of_the_test_set_shows_as_many_scenes_as_can_be() -> None:
    source = instantiate(dataset("rain").test)
    for limit in (2, 20, 67):
        pairs = EvaluationPairs(source, PairMaker(Rain(), "degraded"), limit, order="scenes")
        assert len({source.scene(place) for place in pairs.places}) == limit == len(pairs)


@pytest.mark.parametrize(
    ("scored", "crops", "leaves"), [(64, 128, 128), (256, 256, 256), (400, 300, 400)]
)
def test_scenes_are_as_large_as_what_is_scored_of_them(
    scored: int, crops: int, leaves: int
) -> None:
    """As far as the photographs reach; then no depth has to pad them."""
    config = dataset("rain", f"budget.evaluation_side={scored}")
    for part in ("validation", "test"):
        source = instantiate(config[part])
        sizes = {source.name(index): source.size(index) for index in range(len(source))}
        of_leaves = {size for name, size in sizes.items() if name.startswith("leaves")}
        assert of_leaves == {(leaves, leaves)}
        assert (crops, crops) in sizes.values()


def test_a_dataset_can_be_changed_from_the_command_line() -> None:
    config = dataset(
        "haze", "dataset.composition.beta=[1,2]", "~dataset.train.built_in.sources.leaves"
    )
    assert instantiate(config.composition).beta == (1, 2)
    assert "leaves" not in config.train.built_in.sources
    assert len(instantiate(config.train)) == 3 * 16 + 3 * 8
