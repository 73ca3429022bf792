"""How often a verdict is wrong, on scores that are made here and know nothing of the rules.

A score is the sum of what the method, the training seed, the scene, the file of the scene and
chance do to it. No method is better, so whatever is supported is supported falsely.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from ir_lightning.statistics.comparison import difference, verdicts
from ir_lightning.statistics.saturation import saturation

pytestmark = pytest.mark.slow

DESIGNS = ((5, 6), (50, 10), (40, 32), (100, 1))  # scenes, files of each


@dataclass(frozen=True)
class World:
    """Where scores come from; standard deviations in dB."""

    seeds: int
    scenes: int
    files: int
    spreads: tuple[float, ...]  #: Between the seeds of each method.
    shared: float = 0.0  #: Between seeds, the same for all methods.
    scene: float = 0.5  #: Between scenes, of what each method makes of them.

    def by_file(self, random: np.random.Generator) -> np.ndarray:
        """(methods, seeds, scenes, files)."""
        methods = len(self.spreads)
        seed = random.normal(0, 1, (methods, self.seeds, 1, 1))
        seed = seed * np.array(self.spreads)[:, None, None, None]
        common = random.normal(0, 1, (1, self.seeds, 1, 1)) * self.shared
        scene = random.normal(0, 3, (1, 1, self.scenes, 1))
        scene = scene + random.normal(0, self.scene, (methods, 1, self.scenes, 1))
        file = random.normal(0, 0.7, (methods, 1, self.scenes, self.files))
        chance = random.normal(0, 0.2, (methods, self.seeds, self.scenes, self.files))
        return seed + common + scene + file + chance


def supported(world: World, family: int, paired: bool, repeats: int, count_files: bool = False):
    """Share of repetitions in which any of a family of claims is supported."""
    random, false = np.random.default_rng(family), 0
    for _ in range(repeats):
        files = world.by_file(random)
        scores = files.reshape(*files.shape[:2], -1) if count_files else files.mean(axis=3)
        evidence = [difference(scores[k], scores[0], paired=paired) for k in range(1, family + 1)]
        false += any(judged.verdict == "supported" for judged in verdicts(evidence))
    return false / repeats


WILD = (0.3, 0.3) + (0.1,) * 12  # two of many; which a test for equal spreads overlooks
EQUAL, UNEQUAL = (0.2,) * 7, (0.06, 0.66, 0.06, 0.66, 0.06, 0.66, 0.06)


def most(repeats: int) -> float:
    """What a rate of 5 % stays below, in all but 1 of 1,000 simulations."""
    return 0.05 + 3.1 * np.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_claim_is_seldom_supported_falsely(seeds: int) -> None:
    rates = []
    for scenes, files in DESIGNS:
        for spreads in (EQUAL, UNEQUAL):
            for paired, shared in ((False, 0.0), (False, 0.5), (True, 0.5)):
                world = World(seeds, scenes, files, spreads, shared)
                rates.append(supported(world, 1, paired, 300))
    assert max(rates) <= most(300)
    assert np.mean(rates) <= 0.05


def test_two_wild_methods_among_quiet_ones_are_no_better(  # as pooled, in up to 15 %
) -> None:
    assert supported(World(3, 50, 1, WILD), 1, False, 600) <= most(600)


@pytest.mark.parametrize(("family", "repeats"), [(6, 400), (24, 100)])
def test_a_family_seldom_has_one_that_is_supported_falsely(family: int, repeats: int) -> None:
    rates = []
    for spread in (EQUAL, UNEQUAL):
        world = World(3, 50, 10, (spread * 4)[: family + 1])
        rates.append(supported(world, family, False, repeats))
    assert max(rates) <= most(repeats)


def test_files_of_a_scene_are_no_scenes() -> None:
    """What was wrong: 50 rooms in 10 kinds of haze were 500 images, each a unit of its own."""
    rates = [
        supported(World(3, scenes, files, (0.06,) * 2, scene=1.5), 1, False, 300, count_files=True)
        for scenes, files in ((50, 10), (40, 32))
    ]
    assert min(rates) > 0.09


@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("scenes", [6, 50])
def test_levels_are_seldom_called_too_few_or_enough_falsely(scenes: int, unequal: bool) -> None:
    """Three levels saturate at the second, whose loss against the best is just the margin."""
    spreads = (0.06, 0.4, 0.06) if unequal else (0.15,) * 3
    random, world = np.random.default_rng(5), World(3, scenes, 4, spreads)
    flat, edge = np.zeros(3), np.array([-1.0, -0.2, 0.0])
    too_large = too_small = 0
    for _ in range(400):
        scores = world.by_file(random).mean(axis=3)
        lower = saturation(scores + flat[:, None, None], 0.2).lower
        too_large += lower is not None and lower > 1
        upper = saturation(scores + edge[:, None, None], 0.2).upper
        too_small += upper is not None and upper < 3
    assert too_large / 400 <= most(400)
    assert too_small / 400 <= most(400)
