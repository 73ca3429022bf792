"""What the claims of an experiment will see, before its runs: from how much scores vary.

A claim's line is that of :meth:`.PlannedClaim.sees`, the same as a report prints after the runs,
with the seeds and scenes that are planned. Variances are, in this order, the stated ones of the
claim's metric; those of runs of the claim's own cells, of three seeds and five scenes at least; and
those of all cells of these runs together.
"""

import json
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from ir_lightning.report.claims import ALPHA, PlannedClaim, ReportClaim
from ir_lightning.report.judging import asked_of
from ir_lightning.report.runs import Cell, CellRuns, NotMeasuredError, Results, by_scene, matrices
from ir_lightning.statistics.effects import (
    FEWEST_POOLED,
    FEWEST_SCENES,
    FEWEST_SEEDS,
    Array,
    Effects,
    effects,
    stacked,
)

MOST_SEEDS = 50
ENDLESS = 1_000_000  # seeds: what is left is the error of the scenes
STATED, OWN, ALL = "stated", "own cells", "all cells"
ON_AVERAGE = "on average"
NO_LINE = "judged by a rule of its own, without such a line"


class Deviations(NamedTuple):
    """Standard deviations of scores, in the unit of their metric."""

    seed: float  #: Between the seeds of a cell.
    scene: float  #: Between scenes, of the difference of two cells.
    pair: float | None = None  #: Of the differences of pairs of seeds; None: as of any two seeds.


@dataclass(frozen=True)
class Design:
    """What is planned, and what is known beforehand."""

    cells: Results  #: Without scores.
    datasets: Sequence[str]  #: That are trained on; of a cell without the key, the first.
    seeds: int  #: Of each cell.
    scenes: Mapping[str, int]  #: By data set.
    stated: Mapping[str, Deviations] = field(default_factory=dict)  #: By metric.
    measured: Results | None = None
    differences: Mapping[str, float] = field(default_factory=dict)
    """What is to be shown, by metric."""

    def dataset(self, cell: Cell) -> str:
        return cell.get("dataset", self.datasets[0])


@dataclass(frozen=True)
class PlanLine:
    """What a claim will see, in one of its places."""

    claim: PlannedClaim
    where: str  #: Its place, or the data set that it is about.
    family: int  #: How many claims are judged together.
    scenes: int
    deviations: Deviations
    source: str  #: Of these.
    untrained: bool  #: They are of networks that have not passed their degraded input.
    sees: Mapping[int, float | None]
    """By the number of seeds: the true value that is called "supported" in 80 % of repetitions;
    NaN: none; None: so few seeds decide nothing."""
    needs: str = ""  #: How many seeds show what is to be shown.


@dataclass(frozen=True)
class Unplanned:
    """A claim that has no line, and why."""

    claim: ReportClaim
    where: str
    why: str
    metric: str = ""  #: Of which nothing says how it varies, if that is why.


def plan(
    claims: Sequence[ReportClaim], design: Design, seeds: Sequence[int]
) -> list[PlanLine | Unplanned]:
    """The line of each claim in each of its places, with so many seeds each."""
    asked, families = asked_of(claims, design.cells)
    lines: list[PlanLine | Unplanned] = []
    for (claim, place), family in zip(asked, families, strict=True):
        if not isinstance(claim, PlannedClaim):
            lines.append(Unplanned(claim, place, NO_LINE))
            continue
        lines.append(_line(claim, place, families.count(family), design, seeds))
    return lines


def _line(
    claim: PlannedClaim, place: str, family: int, design: Design, seeds: Sequence[int]
) -> PlanLine | Unplanned:
    cells = claim.cells(design.cells, place)
    datasets = dict.fromkeys(design.dataset(each.cell) for each in cells)
    scenes = min(design.scenes[dataset] for dataset in datasets)
    where = place or (ON_AVERAGE if len(datasets) > 1 else next(iter(datasets)))
    if scenes < FEWEST_SCENES:
        few = "1 scene decides" if scenes == 1 else f"{scenes} scenes decide"
        return Unplanned(claim, place, f"{few} nothing: a verdict takes at least {FEWEST_SCENES}")
    if (known := _variances(claim, cells, design)) is None:
        if claim.absolute:
            return Unplanned(claim, place, "only runs of its own cells say how their scores vary")
        unknown = f"nothing says how {claim.metric} varies"
        return Unplanned(claim, place, unknown, claim.metric)
    found, source, untrained = known

    def sees(count: int) -> float | None:
        then = found.at(count, scenes)
        return None if then.gap else claim.sees(then, cells, ALPHA / family)

    values = {count: sees(count) for count in seeds}
    wanted = design.differences.get(claim.metric)
    needs = "" if wanted is None or claim.absolute else _needs(claim, sees, wanted)
    shown = (_deviations(found, claim), source, untrained, values, needs)
    return PlanLine(claim, where, family, scenes, *shown)


def _needs(claim: PlannedClaim, sees: Callable[[int], float | None], difference: float) -> str:
    """How many seeds show a difference; or what the scenes alone limit it to."""

    def enough(seeds: int) -> bool:
        value = sees(seeds)
        return value is not None and claim.enough(value, difference)

    if not enough(ENDLESS):
        limit = sees(ENDLESS)
        return "never" if limit is None else f"({claim.told(limit)})"
    counts = range(FEWEST_SEEDS, MOST_SEEDS + 1)
    fewest = bisect_left(counts, True, key=enough)
    return str(counts[fewest]) if fewest < len(counts) else f"> {MOST_SEEDS}"


def _variances(
    claim: PlannedClaim, cells: Sequence[CellRuns], design: Design
) -> tuple[Effects, str, bool] | None:
    """What the cells' scores vary by, how that is known, and whether of untrained networks."""
    known, source, untrained = design.stated.get(claim.metric), STATED, False
    if known is None and design.measured is not None:
        if (own := _own_cells(claim, cells, design)) is not None:
            return own
        known, source = typical(design.measured, claim.metric), ALL
        untrained = _untrained(design.measured.groups, claim)
    if known is None or claim.absolute:
        return None
    pair = math.sqrt(2) * known.seed if known.pair is None else known.pair
    return claim.stated(len(cells), known.seed, known.scene, pair), source, untrained


def _own_cells(
    claim: PlannedClaim, cells: Sequence[CellRuns], design: Design
) -> tuple[Effects, str, bool] | None:
    """The same by the measured cells that are the planned ones, if they could be judged."""
    assert design.measured is not None
    measured = {
        json.dumps({"dataset": group.trained_on, **group.cell}, sort_keys=True): group
        for group in design.measured.groups
    }
    keys = [{"dataset": design.dataset(each.cell), **each.cell} for each in cells]
    own = [measured.get(json.dumps(key, sort_keys=True)) for key in keys]
    there = [group for group in own if group is not None]
    if len(there) < len(cells):
        return None
    try:
        found = claim.effects(there, partial(by_scene, metric=claim.metric))
    except NotMeasuredError:
        return None
    return None if found.gap else (found, OWN, _untrained(there, claim))


def typical(results: Results, metric: str) -> Deviations | None:
    """Of all cells together, variances averaged; None where the runs are too few to say.

    Seeds count by their degrees of freedom, of which it takes five; of scenes it is the median over
    the pairs of cells on one data set, which take five scenes: few of them are what claims compare.
    """
    seed, degrees, scene = 0.0, 0, []
    several = [group for group in results.groups if len(group.finished) > 1]
    for dataset in dict.fromkeys(group.trained_on for group in several):
        cells = [group for group in several if group.trained_on == dataset]
        try:
            found = effects(stacked(matrices(cells, metric)))
        except NotMeasuredError:
            continue
        seed += float(((found.seeds - 1) * found.variances).sum())
        degrees += int((found.seeds - 1).sum())
        if found.scenes >= FEWEST_SCENES:
            scene += _pairs(found).tolist()
    if degrees < FEWEST_POOLED or not scene:
        return None
    return Deviations(math.sqrt(seed / degrees), math.sqrt(np.median(scene)))


def _deviations(found: Effects, claim: PlannedClaim) -> Deviations:
    """Root mean squares over levels and pairs of them; or of the levels themselves."""
    alone = claim.absolute or len(found.means) == 1
    scene = np.diag(found.scene_covariance) if alone else _pairs(found)
    return Deviations(math.sqrt(found.variances.mean()), math.sqrt(scene.mean()))


def _pairs(found: Effects) -> Array:
    """Variance between scenes of the difference of each two levels."""
    own = np.diag(found.scene_covariance)
    between = own[:, None] + own[None] - 2 * found.scene_covariance
    return np.maximum(between[np.triu_indices(len(own), 1)], 0)


def _untrained(cells: Sequence[CellRuns], claim: PlannedClaim) -> bool:
    gains = [cell.gain for cell in cells if cell.gain is not None]
    return claim.gain is not None and any(gain < claim.gain for gain in gains)
