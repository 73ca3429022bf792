"""The claims of an experiment, judged: supported, not supported or undecided, with the interval."""

import math
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.report.runs import CellRuns, NotMeasuredError, Results, by_scene
from ir_lightning.statistics.comparison import (
    Evidence,
    difference,
    every,
    growth,
    mean_difference,
    verdicts,
)
from ir_lightning.statistics.effects import Array, effects, stacked
from ir_lightning.statistics.saturation import Saturation, saturation

Part = Mapping[str, Any]
"""Values of cells by their keys, as an experiment's file writes them."""
Verdict = tuple[str, str]
"""``supported``, ``not supported`` or ``undecided``, and the numbers in words."""
UNDECIDED = "undecided"
MARGIN = 0.2  #: dB: the loss of PSNR that does not matter.


ALPHA = 0.05
"""Probability that any claim of a family is called "supported", or any "not supported", falsely."""


@dataclass(frozen=True)
class Judged:
    """A claim and what the scores say about it."""

    says: str  #: The claim, in words.
    where: str  #: On which data set, or empty.
    verdict: str  #: ``supported``, ``not supported`` or ``undecided``.
    reason: str  #: The estimate with its interval, or what is missing.
    sampled: bool = True  #: Whether it is judged from samples, and so may be wrong by chance.
    family: str = ""  #: What it was judged together with.


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
        tables = self.by_scene(results, groups)
        return [np.ascontiguousarray(table.T, dtype=np.float64) for table in tables]

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
class Difference(ScoreClaim):
    """A is better than B by at least ``margin``; see :func:`.comparison.compare`."""

    a: Part  #: Values of one cell.
    b: Part
    margin: float = 0.0  #: In the unit of the metric.

    paired: bool = False
    """A seed is the same start for both, e.g. where they are one network with two losses."""

    def evidence(self, results: Results, place: str) -> Evidence:
        a, b = (table.T.to_numpy() for table in self.pair(results, {}, place))
        unit = results.metric(self.metric).unit
        known = difference(a, b, self.threshold, unit, paired=self.paired)
        return replace(known, note=self.direction(results))

    def pair(self, results: Results, part: Part, place: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """(scenes, S) of both cells, which have the values of ``part``, too; errors as above."""
        cells = [self.one(results, {**own, **part}, place) for own in (self.a, self.b)]
        a, b = self.by_scene(results, cells)
        seeds = a.columns.intersection(b.columns, sort=False)
        return (a[seeds], b[seeds]) if self.paired else (a, b)

    @property
    def threshold(self) -> float:
        return self.margin


@dataclass(frozen=True, kw_only=True)
class MeanDifference(Difference):
    """A is better than B on average over the values of a key; see
    :func:`.comparison.mean_difference`. It is not judged where there is only one value."""

    over: str  #: Key of cells, such as the data set.

    def places(self, results: Results) -> Iterable[str]:
        return super().places(results) if len(results.values(self.over)) > 1 else []

    def evidence(self, results: Results, place: str) -> Evidence:
        pairs = [
            self.pair(results, {self.over: value}, place) for value in results.values(self.over)
        ]
        unit = results.metric(self.metric).unit
        known = mean_difference(pairs, self.threshold, unit, paired=self.paired)
        return replace(known, note=self.direction(results))


@dataclass(frozen=True, kw_only=True)
class AllFallShort(ScoreClaim):
    """The mean of every cell is worse than a score; the nearest one is told."""

    of: float  #: In the unit of the metric.
    where: Part = field(default_factory=dict)  #: Values of the cells that it is about.

    def evidence(self, results: Results, place: str) -> Evidence:
        part = self.within(self.where, place)
        if not (groups := results.where(part)):
            raise UsageError(f"{results.name}: a claim is about {part}, which no cell is.")
        metric = results.metric(self.metric)
        lacking = metric.sign * self.of - stacked(self.scores(results, groups))
        return replace(every(lacking, unit=metric.unit), note=f" (short of {self.of:g})")


@dataclass(frozen=True, kw_only=True)
class NotWorse(Difference):
    """Non-inferiority: A is at most ``margin`` below B."""

    @property
    def threshold(self) -> float:
        return -self.margin


@dataclass(frozen=True, kw_only=True)
class Equivalent(Difference):
    """A and B differ by less than ``margin``, whichever is better (two one-sided tests)."""

    def evidence(self, results: Results, place: str) -> Evidence:
        return replace(super().evidence(results, place), both=True)


@dataclass(frozen=True, kw_only=True)
class AlongClaim(ScoreClaim):
    """Base of the claims about the levels of a factor, from the lowest to the highest."""

    over: str  #: Key of the levels, which are numbers.
    where: Part = field(default_factory=dict)  #: Values of other keys.
    start: float | None = None  #: The lowest level that counts; None: the lowest that there is.
    stop: float | None = None  #: The highest.

    def levels(self, results: Results, place: str) -> list[CellRuns]:
        """The cells from the lowest level to the highest; UsageError for fewer than two."""
        start = -math.inf if self.start is None else self.start
        stop = math.inf if self.stop is None else self.stop
        part = self.within(self.where, place)
        groups = [group for group in results.where(part) if self.over in group.cell]
        groups.sort(key=lambda group: group.number(self.over))
        groups = [group for group in groups if start <= group.number(self.over) <= stop]
        numbers = [group.number(self.over) for group in groups]
        if len(set(numbers)) < len(numbers):
            raise UsageError(f"{results.name}: of a level of {self.over} there are several cells.")
        if len(groups) < 2:
            about = f"a claim is about {part or 'cells'} along {self.over}"
            raise UsageError(f"{results.name}: {about}, and there are not two.")
        return groups


@dataclass(frozen=True, kw_only=True)
class Grows(AlongClaim):
    """Every step along a factor improves quality; see :func:`.comparison.growth`."""

    margin: float = 0.0  #: What each step brings at least, per unit of the factor.

    def evidence(self, results: Results, place: str) -> Evidence:
        groups = self.levels(results, place)
        levels = [group.number(self.over) for group in groups]
        per = f"{results.metric(self.metric).unit} per unit of {self.over} in its smallest step"
        scores = stacked(self.scores(results, groups))
        known = growth(scores, levels, self.margin, per.lstrip())
        return replace(known, note=self.direction(results))


@dataclass(frozen=True, kw_only=True)
class FallsFromPeak(AlongClaim):
    """Some level is better than the highest; which one is not said beforehand, but estimated."""

    margin: float = 0.0

    def verdict_within(self, results: Results, place: str, alpha: float) -> Verdict:
        groups = self.levels(results, place)
        unit, found = (
            results.metric(self.metric).unit,
            effects(stacked(self.scores(results, groups))),
        )
        if found.gap:
            return UNDECIDED, found.gap
        lower = len(groups) - 1
        falls = found.contrasts(np.eye(len(groups))[:-1] - np.eye(len(groups))[-1])
        best, (low, high) = int(falls.value.argmax()), falls.limits(alpha / lower)
        p = min(1.0, lower * float(falls.p_above(self.margin).min()))
        level, top = (f"{group.number(self.over):g}" for group in (groups[best], groups[-1]))
        reason = (
            f"{self.over} = {level} is best, by {falls.value[best]:+.3g} {unit} over {top} "
            f"[{low[best]:+.3g}, {high[best]:+.3g}], p = {p:.2g} as the best of {lower}"
        )
        if p <= alpha:
            return "supported", reason + self.direction(results)
        refuted = float(falls.p_below(self.margin).max()) <= alpha
        return "not supported" if refuted else UNDECIDED, reason + self.direction(results)


@dataclass(frozen=True, kw_only=True)
class SaturatesAt(AlongClaim):
    """Quality saturates at an expected number of levels; see :mod:`.statistics.saturation`."""

    expected: Sequence[int] | Mapping[str, Sequence[int]]
    """The lowest and the highest number; or these by the values of ``each``."""
    margin: float | None = None  #: The loss that does not matter; None: 0.2 dB of PSNR.

    def __post_init__(self) -> None:
        if isinstance(self.expected, Mapping) and self.each is None:
            what = f"a claim expects levels by {', '.join(self.expected)}"
            raise UsageError(f"{what}; it needs the key each, which says what these are.")
        if self.margin is None and self.metric != ScoreClaim.metric:
            raise UsageError(f"a claim that {self.metric} saturates needs a margin.")

    def expected_at(self, place: str) -> tuple[int, int] | None:
        """The lowest and the highest number that are expected there, if any."""
        bounds = self.expected.get(place) if isinstance(self.expected, Mapping) else self.expected
        return None if bounds is None else (int(bounds[0]), int(bounds[1]))

    def saturation(self, results: Results, place: str, alpha: float = ALPHA) -> Saturation:
        """Where quality saturates; errors as for :meth:`verdict`."""
        groups = self.levels(results, place)
        depths = [int(group.number(self.over)) for group in groups]
        scores, unit = stacked(self.scores(results, groups)), results.metric(self.metric).unit
        margin = MARGIN if self.margin is None else self.margin
        return saturation(scores, margin, alpha, depths=depths, unit=unit)

    def verdict_within(self, results: Results, place: str, alpha: float) -> Verdict:
        measured, expected = self.saturation(results, place, alpha), self.expected_at(place)
        if expected is None:
            return UNDECIDED, f"Nothing was printed about it. {measured}"
        low, high = expected
        if measured.lower is None or (measured.upper is None and measured.lower <= high):
            return UNDECIDED, str(measured)
        if measured.upper is None:
            return "not supported", f"Fewer than {measured.lower} are proven too few. {measured}"
        if low <= measured.lower and measured.upper <= high:
            return "supported", str(measured)
        outside = measured.lower > high or measured.upper < low
        return "not supported" if outside else UNDECIDED, str(measured)


def judge(claims: Sequence[ReportClaim], results: Results) -> list[Judged]:
    """Judge all claims of an experiment, each family by itself, in their order."""
    asked = [(claim, place) for claim in claims for place in claim.places(results)]
    # What follows no rule with an error of its own takes no part of the others'.
    families = [(claim.family or "") if claim.sampled else None for claim, _ in asked]
    evidence: dict[int, Evidence] = {}
    found: dict[int, Verdict] = {}
    for place, ((claim, where), family) in enumerate(zip(asked, families, strict=True)):
        try:
            known = claim.evidence(results, where)
        except NotMeasuredError as error:  # it counts to its family all the same
            known = Evidence(math.nan, None, gap=str(error))
        if known is not None:
            evidence[place] = known
            continue
        try:
            found[place] = claim.verdict_within(results, where, ALPHA / families.count(family))
        except NotMeasuredError as error:
            found[place] = UNDECIDED, str(error)
    for family in dict.fromkeys(families):
        members = [place for place in evidence if families[place] == family]
        alpha = ALPHA * len(members) / families.count(family)
        compared = verdicts([evidence[place] for place in members], alpha)
        for place, comparison in zip(members, compared, strict=True):
            found[place] = comparison.verdict, comparison.reason
    return [
        Judged(claim.says, where, *found[place], claim.sampled, families[place] or "")
        for place, (claim, where) in enumerate(asked)
    ]
