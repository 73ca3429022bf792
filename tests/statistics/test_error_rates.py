"""How often a verdict is wrong, and how often right, on scores that know nothing of the rules.

A score is the sum of what the method, the training seed, the scene, the file of the scene and
chance do to it. Thousands of repetitions at once are judged by :func:`apart`, which is
written here from the definition; that it is what the rules say is a test of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from ir_lightning.statistics.comparison import (
    difference,
    difference_in,
    growth_in,
    holm,
    verdicts,
)
from ir_lightning.statistics.effects import Contrasts, Effects, stated
from ir_lightning.statistics.power import seen
from ir_lightning.statistics.saturation import resolves, saturation

pytestmark = pytest.mark.slow

DESIGNS = ((5, 6), (50, 10), (40, 32), (100, 1))  # scenes, files of each
EQUAL = (0.2,) * 25
UNEQUAL = (0.06, 0.66) * 12 + (0.06,)
WILD = (0.3, 0.3) + (0.1,) * 12  # two of many; which a test for equal spreads overlooks
REPEATS, AT_ONCE = 3000, 500
Levels = slice | list[int]


@dataclass(frozen=True)
class World:
    """Where scores come from; standard deviations in dB."""

    seeds: int
    scenes: int
    files: int
    spreads: tuple[float, ...]  #: Between the seeds of each method.
    shared: float = 0.0  #: Between seeds, the same for all methods.
    scene: float = 0.5  #: Between scenes, of what each method makes of them.
    file: float = 0.7  #: Between the files of a scene, likewise.
    chance: float = 0.2  #: Of each file in each run.

    def scores(self, random: np.random.Generator, repeats: int, by_file: bool = False):
        """(repeats, methods, seeds, scenes): means over the files of each scene, or, ``by_file``,
        (repeats, methods, seeds, scenes x files)."""
        methods, units = len(self.spreads), self.scenes
        # A mean over files varies by so much less, and neither more nor less than that.
        fewer = 1.0 if by_file else float(1 / np.sqrt(self.files))

        def noise(sd: float, *shape: int) -> np.ndarray:
            drawn = random.standard_normal((repeats, *shape), dtype=np.float32)
            drawn *= sd
            return drawn

        seed = noise(1, methods, self.seeds, 1) * np.float32(self.spreads)[:, None, None]
        seed += noise(self.shared, 1, self.seeds, 1)
        scene = noise(3, 1, 1, units) + noise(self.scene, methods, 1, units)
        if by_file:
            scene, units = np.repeat(scene, self.files, axis=-1), units * self.files
        scene += noise(self.file * fewer, methods, 1, units)
        scores = noise(self.chance * fewer, methods, self.seeds, units)
        scores += seed
        scores += scene
        return scores

    def many(self, repeats: int = REPEATS) -> Iterator[np.ndarray]:
        random = np.random.default_rng(self.seeds)
        for _ in range(repeats // AT_ONCE):
            yield self.scores(random, AT_ONCE)


def apart(scores: np.ndarray, a: Levels, b: Levels, paired: bool = False) -> Contrasts:
    """(repeats, n) differences of the methods ``a`` from the methods ``b``, with their errors."""
    _, _, seeds, scenes = scores.shape
    a, b = scores[:, a], scores[:, b]
    by_scene = (a - b).mean(axis=2).var(axis=-1, ddof=1) / scenes
    levels = [a - b] if paired else [a, b]
    runs = [level.mean(axis=-1).var(axis=-1, ddof=1) / seeds for level in levels]
    parts = np.stack(np.broadcast_arrays(*runs, by_scene), axis=-1)
    value = (a - b).mean(axis=(2, 3))
    return Contrasts(value, parts, np.array([seeds - 1] * len(runs) + [scenes - 1]))


def against_first(scores: np.ndarray, paired: bool = False) -> Contrasts:
    """(repeats, methods - 1) of each method from the first."""
    return apart(scores, slice(1, None), slice(1), paired)


def proven(found: Contrasts, bound: float = 0.0, alpha: float = 0.05) -> np.ndarray:
    """Which are above the bound at alpha: their p is at most that."""
    return found.value - found.reach(alpha) > bound


def any_supported(found: Contrasts, family: int) -> np.ndarray:
    """(repeats,) whether any of a family's claims is; Holm begins with the smallest p."""
    return proven(found, alpha=0.05 / family)[:, :family].any(axis=1)


def most(repeats: int) -> float:
    """What a rate of 5 % stays below, in all but 1 of 1,000 simulations."""
    return 0.05 + 3.1 * np.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.parametrize("paired", [False, True])
def test_what_is_judged_here_at_once_is_what_the_rules_say(paired: bool) -> None:
    """Claim by claim, the verdicts of families of 6 are those of this file."""
    supported = 0
    for seeds, scenes in ((3, 5), (5, 40)):
        world = World(seeds, scenes, 4, UNEQUAL[:7], shared=0.2)
        tables = world.scores(np.random.default_rng(1), 40).astype(float)
        tables += np.array([0, 0, 0, 0, 0.5, 1, 2])[:, None, None]
        found = against_first(tables, paired)
        for index, scores in enumerate(tables):
            judged = verdicts([difference(a, scores[0], paired=paired) for a in scores[1:]])
            assert (
                any(each.verdict == "supported" for each in judged)
                == (any_supported(found, 6)[index])
            )
            for each, value in zip(judged, found.value[index], strict=True):
                assert each.estimate == pytest.approx(value)
            supported += any(each.verdict == "supported" for each in judged)
    assert 0 < supported < 80


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("spreads", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
def test_a_family_seldom_has_one_that_is_supported_falsely(
    seeds: int, design: tuple[int, int], spreads: tuple[float, ...]
) -> None:
    """Families of 1, 6 and 24; seeds that share nothing, or their start; paired by it, or not."""
    false = {(family, how): 0 for family in (1, 6, 24) for how in ("apart", "alike", "paired")}
    common = np.random.default_rng(7)
    for scores in World(seeds, *design, spreads).many():
        alike = scores + common.normal(0, 0.5, (AT_ONCE, 1, seeds, 1))
        found = {"apart": against_first(scores), "alike": against_first(alike)}
        found["paired"] = against_first(alike, paired=True)
        for family, how in false:
            false[family, how] += int(any_supported(found[how], family).sum())
    rates = {case: count / REPEATS for case, count in false.items()}
    assert max(rates.values()) <= 0.06, rates


def test_two_wild_methods_among_quiet_ones_are_no_better(  # as pooled, in up to 15 %
) -> None:
    found = [against_first(scores) for scores in World(3, 50, 1, WILD).many()]
    assert np.mean([any_supported(each, 1) for each in found]) <= 0.06


@pytest.mark.parametrize("family", [1, 6, 24])
@pytest.mark.parametrize("paired", [False, True])
def test_two_seeds_decide_nothing(family: int, paired: bool) -> None:
    """However large the difference and however many the scenes."""
    (scores,) = World(2, 100, 1, EQUAL[: family + 1]).scores(np.random.default_rng(0), 1)
    scores[1:] += 30
    judged = verdicts([difference(a, scores[0], paired=paired) for a in scores[1:]])
    assert {each.verdict for each in judged} == {"undecided"}
    assert {each.reason for each in judged} == {"2 seeds of a cell: a verdict takes at least 3"}


def test_files_of_a_scene_are_no_scenes() -> None:
    """What was wrong: 50 rooms in 10 kinds of haze were 500 images, each a unit of its own."""
    for scenes, files in ((50, 10), (40, 32)):
        world = World(3, scenes, files, (0.06,) * 2, scene=1.5)
        scores = world.scores(np.random.default_rng(1), 300, by_file=True)
        assert any_supported(against_first(scores), 1).mean() > 0.09


SPREADS = {
    "equal": lambda levels: (0.04,) * levels,
    "unequal": lambda levels: ((0.03, 0.06) * levels)[:levels],
    "wild": lambda levels: (0.02, 0.1, *(0.02,) * (levels - 3), 0.1),
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize(("seeds", "levels"), [(2, 6), (3, 3), (5, 3)])
def test_levels_are_seldom_called_too_few_or_enough_falsely(
    seeds: int, levels: int, spread: str
) -> None:
    """N_L where the first level loses just the margin; N_U where the second does, and the others
    half of it. Of two seeds six levels, which know the spread that they share; of the wild ones, in
    8 % before a contrast's own levels counted.
    """
    enough = np.array([-0.2, *np.zeros(levels - 1)])[:, None, None]
    edge = np.array([-1.0, -0.2, *[-0.1] * (levels - 3), 0.0])[:, None, None]
    too_large = too_small = 0
    for scenes, files in DESIGNS:
        calm = 0.02 * np.sqrt(scenes / 2)  # so that N is found, and may be wrong
        levels_of = SPREADS[spread](levels)
        world = World(seeds, scenes, files, levels_of, scene=calm, file=0, chance=0.02)
        for scores in world.scores(np.random.default_rng(5), 250):
            lower = saturation(scores + enough, 0.2).lower
            too_large += lower is not None and lower > 1
            upper = saturation(scores + edge, 0.2).upper
            too_small += upper is not None and upper < 3
    assert too_large / 1000 <= most(1000)
    assert 0.01 < too_small / 1000 <= most(1000)


@pytest.mark.parametrize("unequal", [False, True])
def test_two_seeds_find_where_quality_saturates(unequal: bool) -> None:
    """Eight levels know their common spread by eight degrees of freedom; without one, nothing."""
    spreads = (0.01, 3.0) * 4 if unequal else (0.03,) * 8
    world = World(2, 100, 1, spreads, scene=0.2, file=0, chance=0.05)
    curve = np.array([-3.0, -2.0, -1.0, *np.zeros(5)])[:, None, None]
    tables = world.scores(np.random.default_rng(2), 20) + curve
    found = [saturation(scores, 0.5).upper for scores in tables]
    assert found.count(4) == 0 if unequal else found.count(4) >= 15


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 4])
@pytest.mark.parametrize("seeds", [3, 5])
def test_a_margin_as_large_as_the_line_finds_where_quality_saturates(
    seeds: int, alpha: float
) -> None:
    """Some depth in 9 of 10 sweeps, the first that is enough in 6: it is a rule of thumb."""
    world = World(seeds, 50, 1, (0.1,) * 8, scene=0.2, file=0, chance=0)
    planned = stated(8, 0.1, 0.2 * np.sqrt(2), share=True).at(seeds, 50)
    margin = resolves(planned, 0.2, alpha)
    curve = np.array([-4.0, -2.5, -1.2, *np.zeros(5)])[:, None, None]
    tables = world.scores(np.random.default_rng(4), 200) + curve
    found = [saturation(scores, margin, alpha).upper for scores in tables]
    assert 0.85 <= 1 - found.count(None) / 200 <= 0.98
    assert 0.5 <= found.count(4) / 200 <= 0.7


POWERS = ((3, 20), (5, 100), (5, 50))  # seeds, scenes
CALM, UNLIKE = (0.2,) * 7, (0.1, 0.3) * 3 + (0.1,)


def known(world: World) -> Effects:
    """What the world's scores vary by, without any."""
    assert world.chance == 0
    scene_sd = np.sqrt(2 * (world.scene**2 + world.file**2 / world.files))
    levels = stated(len(world.spreads), 1.0, float(scene_sd))
    return replace(levels, variances=np.square(world.spreads)).at(world.seeds, world.scenes)


def true(found: Contrasts, value: float) -> Contrasts:
    return replace(found, value=found.value + value)


@pytest.mark.parametrize(("seeds", "scenes"), POWERS)
@pytest.mark.parametrize("spreads", [CALM, UNLIKE], ids=["equal", "unequal"])
@pytest.mark.parametrize("margin", [0.0, 0.3, -0.2])
def test_a_difference_as_large_as_the_line_is_supported_in_80_percent(
    seeds: int, scenes: int, spreads: tuple[float, ...], margin: float
) -> None:
    world = World(seeds, scenes, 4, spreads[:2], chance=0)
    for family in (1, 6):
        sees = difference_in(known(world), margin).sees(0.05 / family)
        right = [
            proven(true(against_first(scores), sees), margin, 0.05 / family).mean()
            for scores in world.many()
        ]
        assert 0.75 <= np.mean(right) <= 0.85


@pytest.mark.parametrize(("seeds", "scenes"), POWERS)
def test_one_true_claim_of_six_is_supported_in_80_percent(seeds: int, scenes: int) -> None:
    """And each of six true ones no less often, for Holm's later steps ask for less."""
    world = World(seeds, scenes, 4, CALM, chance=0)
    sees = difference_in(known(replace(world, spreads=CALM[:2]))).sees(0.05 / 6)
    found = [against_first(scores) for scores in world.many(1000)]
    for hold, least, greatest in (([0], 0.75, 0.85), ([*range(6)], 0.78, 1.0)):
        shift = np.isin(np.arange(6), hold) * sees
        p = np.concatenate([replace(each, value=each.value + shift).p_above() for each in found])
        assert least <= np.mean([holm(row, 0.05)[0] for row in p]) <= greatest


@pytest.mark.parametrize(("seeds", "scenes"), POWERS)
@pytest.mark.parametrize("spreads", [CALM, UNLIKE], ids=["equal", "unequal"])
def test_growth_as_steep_as_the_line_is_supported_in_80_percent(
    seeds: int, scenes: int, spreads: tuple[float, ...]
) -> None:
    """Of four levels, whose three steps are as high; where only one of them is that low, in more:
    the line is a bound."""
    world = World(seeds, scenes, 4, spreads[:4], chance=0)
    sees = growth_in(known(world)).sees(0.05)
    steps = [apart(scores, [1, 2, 3], [0, 1, 2]) for scores in world.many()]
    same, steeper = (
        np.mean([proven(true(each, values)).all(axis=1) for each in steps])
        for values in (sees, sees * np.array([1, 2, 2]))
    )
    assert 0.78 <= same <= 0.85
    assert same <= steeper <= 0.95


@pytest.mark.parametrize(("seeds", "scenes"), POWERS)
@pytest.mark.parametrize("room", [1.02, 2.0])
def test_methods_as_far_apart_as_the_line_are_called_equivalent_in_80_percent(
    seeds: int, scenes: int, room: float
) -> None:
    """Where both sides of 0 are near the limits, and where one is."""
    world = World(seeds, scenes, 4, CALM[:2], chance=0)
    margin = room * float(seen(difference_in(known(world)).contrasts, 0.05, 0.9)[0])
    sees = replace(difference_in(known(world), margin), both=True).sees(0.05)
    right = []
    for scores in world.many():
        found = true(against_first(scores), sees)
        reach = found.reach(0.05)
        right.append((np.abs(found.value) + reach < margin).mean())
    assert 0 <= sees < margin
    assert 0.75 <= np.mean(right) <= 0.85


@pytest.mark.parametrize(
    ("seeds", "scenes", "low", "high"), [(3, 20, 0.65, 1.36), (5, 100, 0.69, 1.29)]
)
def test_what_a_report_prints_scatters_around_the_plan(
    seeds: int, scenes: int, low: float, high: float
) -> None:
    """The middle 80 % of lines from estimated variances, beside the one from the true ones."""
    world = World(seeds, scenes, 1, (0.2, 0.2), scene=0.5 / np.sqrt(2), file=0, chance=0)
    found = against_first(world.scores(np.random.default_rng(0), 400))
    ratio = seen(found)[:, 0] / difference_in(known(world)).sees(0.05)
    assert np.quantile(ratio, [0.1, 0.9]) == pytest.approx([low, high], abs=0.03)
    assert np.median(ratio) == pytest.approx(1, abs=0.1)
