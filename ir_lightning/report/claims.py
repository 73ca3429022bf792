"""The kinds of claims of an experiment: what each is about, and what scores say about it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.report.runs import CellRuns, NotMeasuredError, Results, arrays, by_scene
from ir_lightning.statistics.comparison import Evidence, difference_in, every_in
from ir_lightning.statistics.effects import (
    Array,
    Effects,
    averaged,
    effects,
    stacked,
    stated,
)

Part = Mapping[str, Any]
"""Values of cells by their keys, as an experiment's file writes them."""
Read = Callable[[Sequence[CellRuns]], list[pd.DataFrame]]
"""(scenes, S) scores of each of some cells."""
Verdict = tuple[str, str]
"""``supported``, ``not supported`` or ``undecided``, and the numbers in words."""
UNDECIDED = "undecided"


ALPHA = 0.05
"""Probability that any claim of a family is called "supported", or any "not supported", falsely."""


@dataclass(frozen=True, kw_only=True)
class ReportClaim(ABC):
    """Base of the kinds of claims."""

    says: str  #: The claim, in words.
    each: str | None = None  #: Key of cells for each of whose values it is judged; None: once.
    family: str | None = None  #: Claims that share it are judged together; None: all without one.
    sampled: ClassVar[bool] = True

    def places(self, results: Results) -> Iterable[str]:
        """Names of what the claim is judged for; an empty one if it is judged once."""
        return [""] if self.each is None else results.values(self.each)

    def evidence(self, results: Results, place: str) -> Evidence | None:
        """Estimates that are judged together with those of the family; None: :meth:`verdict` does.

        Raises:
            NotMeasuredError, UsageError: as for :meth:`verdict`.
        """
        return None

    def verdict(self, results: Results, place: str) -> Verdict:
        """What the results say about the claim in one of its places.

        Raises:
            NotMeasuredError: scores are missing, which leaves the claim undecided.
            UsageError: the claim is about cells that there are not.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither evidence nor a verdict")

    def verdict_within(self, results: Results, place: str, alpha: float) -> Verdict:
        """The same, of a claim whose share of its family's error is ``alpha``."""
        return self.verdict(results, place)

    def one(self, results: Results, part: Part, place: str) -> CellRuns:
        """The only cell that has these values, and the place; UsageError for none or several."""
        part = self.within(part, place)
        if len(groups := results.where(part)) != 1:
            raise UsageError(f"{results.name}: a claim is about {part}, which {len(groups)} are.")
        return groups[0]

    def within(self, part: Part, place: str) -> dict[str, Any]:
        return {**part, **({self.each: place} if self.each else {})}


@dataclass(frozen=True, kw_only=True)
class ScoreClaim(ReportClaim):
    """Base of the claims about the scores of a metric."""

    metric: str = "psnr"  #: Where lower is better, a positive difference is an improvement, too.
    gain: float | None = 0.5
    """dB of PSNR over the degraded input that shows that a network is trained: what compares
    untrained ones compares how they were initialised. None: not asked for."""

    def scores(self, results: Results, groups: Sequence[CellRuns]) -> list[Array]:
        """(S, scenes) of each cell; see :meth:`by_scene`."""
        return arrays(self.by_scene(results, groups))

    def by_scene(self, results: Results, groups: Sequence[CellRuns]) -> list[pd.DataFrame]:
        """(scenes, S) of each cell, as scores of which more is better.

        Raises:
            NotMeasuredError: a cell has none, was trained differently long, or is not trained.
        """
        if lacking := sum(not group.finished for group in groups):
            raise NotMeasuredError(f"{lacking} of {len(groups)} cells have no finished run yet")
        lengths = sorted({run.iterations for group in groups for run in group.finished})
        if len(lengths) > 1:
            told = " and ".join(f"{length:,}" for length in lengths)
            raise NotMeasuredError(f"trained differently long: {told} iterations in all")
        gains = [gain for group in groups if (gain := group.gain) is not None]
        if self.gain is not None and (low := [gain for gain in gains if gain < self.gain]):
            raise NotMeasuredError(
                f"not trained: {len(low)} of {len(groups)} cells have not passed the degraded "
                f"input by {self.gain:g} dB (the lowest: {min(low):+.2f} dB)"
            )
        sign = results.metric(self.metric).sign
        return [sign * scores for scores in by_scene(groups, self.metric)]

    def direction(self, results: Results) -> str:
        """Words behind the numbers of a metric of which less is better."""
        better = results.metric(self.metric).higher_is_better
        return "" if better else f" (lower {self.metric} is better; + is an improvement)"


@dataclass(frozen=True, kw_only=True)
class PlannedClaim(ScoreClaim):
    """Base of the claims of which it is known what they see, from what scores vary by."""

    absolute: ClassVar[bool] = False
    """It is about scores themselves, whose spread over scenes no difference of two tells."""

    @property
    def claimed(self) -> str:
        """What a true value has to be, in a few words."""
        return f"> {self.threshold:g}"

    @property
    def threshold(self) -> float:
        return 0.0

    @abstractmethod
    def cells(self, results: Results, place: str) -> list[CellRuns]:
        """The cells that it is about; UsageError if there are none."""

    def measured(self, results: Results, cells: Sequence[CellRuns]) -> Effects:
        """The scores of its cells, condensed; errors as for :meth:`by_scene`."""
        return self.effects(cells, partial(self.by_scene, results))

    def effects(self, cells: Sequence[CellRuns], read: Read) -> Effects:
        """The same of scores that are read otherwise."""
        return effects(stacked(arrays(read(cells))))

    def stated(self, cells: int, seed_sd: float, scene_sd: float, pair_sd: float) -> Effects:
        """The same from standard deviations; ``pair_sd``: of the difference of a pair of seeds."""
        return stated(cells, seed_sd, scene_sd)

    @abstractmethod
    def sees(self, found: Effects, cells: Sequence[CellRuns], alpha: float) -> float:
        """The true value that is called "supported" in 80 % of repetitions; NaN: none is."""

    def told(self, sees: float) -> str:
        """Such a value in a table."""
        return f"{sees:+.2g}"

    def enough(self, sees: float, difference: float) -> bool:
        """Whether a design that sees so much shows what is to be shown."""
        return sees <= difference


@dataclass(frozen=True, kw_only=True)
class Difference(PlannedClaim):
    """A is better than B by at least ``margin``; see :func:`.comparison.compare`."""

    a: Part  #: Values of one cell.
    b: Part
    margin: float = 0.0  #: In the unit of the metric.

    paired: bool = False
    """A seed is the same start for both, e.g. where they are one network with two losses."""

    def evidence(self, results: Results, place: str) -> Evidence:
        found = self.measured(results, self.cells(results, place))
        known = self.evidence_in(found, results.metric(self.metric).unit)
        return replace(known, note=self.direction(results))

    def cells(self, results: Results, place: str) -> list[CellRuns]:
        return [self.one(results, part, place) for part in (self.a, self.b)]

    def effects(self, cells: Sequence[CellRuns], read: Read) -> Effects:
        if not self.paired:
            return super().effects(cells, read)
        a, b = read(cells)
        return effects(arrays([a - b]))  # a seed that one of them lacks is a missing run

    def stated(self, cells: int, seed_sd: float, scene_sd: float, pair_sd: float) -> Effects:
        return stated(1, pair_sd, scene_sd) if self.paired else stated(cells, seed_sd, scene_sd)

    @property
    def claimed(self) -> str:
        return f"{super().claimed}{', in pairs' if self.paired else ''}"

    def evidence_in(self, found: Effects, unit: str = "") -> Evidence:
        """What condensed scores say."""
        return difference_in(found, self.threshold, unit)

    def sees(self, found: Effects, cells: Sequence[CellRuns], alpha: float) -> float:
        return self.evidence_in(found).sees(alpha)

    @property
    def threshold(self) -> float:
        return self.margin


@dataclass(frozen=True, kw_only=True)
class MeanDifference(Difference):
    """A is better than B on average over the values of a key; see :func:`.effects.averaged`.

    It is not judged where there is only one value.
    """

    over: str  #: Key of cells, such as the data set.

    def places(self, results: Results) -> Iterable[str]:
        return super().places(results) if len(results.values(self.over)) > 1 else []

    def effects(self, cells: Sequence[CellRuns], read: Read) -> Effects:
        pairs = [read(pair) for pair in zip(cells[::2], cells[1::2], strict=True)]
        return averaged([(a, b) for a, b in pairs], self.paired)

    def cells(self, results: Results, place: str) -> list[CellRuns]:
        """A and B by the values of the key, one after the other."""
        return [
            self.one(results, {**part, self.over: value}, place)
            for value in results.values(self.over)
            for part in (self.a, self.b)
        ]

    def stated(self, cells: int, seed_sd: float, scene_sd: float, pair_sd: float) -> Effects:
        """As if seeds and scenes did everywhere what they do in one place: a bound."""
        return super().stated(2, seed_sd, scene_sd, pair_sd)


@dataclass(frozen=True, kw_only=True)
class AllFallShort(PlannedClaim):
    """The mean of every cell is worse than a score; the nearest one is told."""

    absolute: ClassVar[bool] = True
    of: float  #: In the unit of the metric.
    where: Part = field(default_factory=dict)  #: Values of the cells that it is about.

    def evidence(self, results: Results, place: str) -> Evidence:
        metric = results.metric(self.metric)
        found = self.measured(results, self.cells(results, place))
        lacking = replace(found, means=metric.sign * self.of - found.means)
        return replace(every_in(lacking, unit=metric.unit), note=f" (short of {self.of:g})")

    def cells(self, results: Results, place: str) -> list[CellRuns]:
        part = self.within(self.where, place)
        if not (groups := results.where(part)):
            raise UsageError(f"{results.name}: a claim is about {part}, which no cell is.")
        return groups

    @property
    def claimed(self) -> str:
        return f"all short of {self.of:g}"

    def sees(self, found: Effects, cells: Sequence[CellRuns], alpha: float) -> float:
        return every_in(found).sees(alpha)


@dataclass(frozen=True, kw_only=True)
class NotWorse(Difference):
    """Non-inferiority: A is at most ``margin`` below B."""

    @property
    def threshold(self) -> float:
        return -self.margin

    def enough(self, sees: float, difference: float) -> bool:
        return sees <= 0  # equal ones are to be found so


@dataclass(frozen=True, kw_only=True)
class Equivalent(Difference):
    """A and B differ by less than ``margin``, whichever is better (two one-sided tests)."""

    def evidence_in(self, found: Effects, unit: str = "") -> Evidence:
        return replace(super().evidence_in(found, unit), both=True)

    @property
    def claimed(self) -> str:
        return f"within {self.margin:g}"

    def told(self, sees: float) -> str:
        return "none" if math.isnan(sees) else f"up to {sees:.2g}"

    def enough(self, sees: float, difference: float) -> bool:
        return not math.isnan(sees)
