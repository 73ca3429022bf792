"""The kinds of claims of an experiment: what each is about, and what scores say about it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ir_lightning.errors import UsageError
from ir_lightning.report.runs import CellRuns, NotMeasuredError, Results, matrices
from ir_lightning.statistics.comparison import Evidence, difference_in, growth_in
from ir_lightning.statistics.effects import Array, Contrasts, Effects, effects, stacked, stated
from ir_lightning.statistics.power import seen
from ir_lightning.statistics.saturation import Saturation, resolves, saturation

Part = Mapping[str, Any]
"""Values of cells by their keys, as an experiment's file writes them."""
Verdict = tuple[str, str]
"""``supported``, ``not supported`` or ``undecided``, and the numbers in words."""
UNDECIDED = "undecided"
MARGIN = 0.2  #: dB: the loss of PSNR that does not matter.


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
        """(S, scenes) of each cell, as scores of which more is better.

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
        return [sign * scores for scores in matrices(groups, self.metric)]

    def direction(self, results: Results) -> str:
        """Words behind the numbers of a metric of which less is better."""
        better = results.metric(self.metric).higher_is_better
        return "" if better else f" (lower {self.metric} is better; + is an improvement)"


@dataclass(frozen=True, kw_only=True)
class PlannedClaim(ScoreClaim):
    """Base of the claims of which it is known what they see, from what scores vary by."""

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

    def effects(self, cells: Sequence[CellRuns], scores: Sequence[Array]) -> Effects:
        """The (S, scenes) scores of the cells, condensed."""
        return effects(stacked(scores))

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
        cells = self.cells(results, place)
        found = self.effects(cells, self.scores(results, cells))
        known = self.evidence_in(found, results.metric(self.metric).unit)
        return replace(known, note=self.direction(results))

    def cells(self, results: Results, place: str) -> list[CellRuns]:
        return [self.one(results, part, place) for part in (self.a, self.b)]

    def effects(self, cells: Sequence[CellRuns], scores: Sequence[Array]) -> Effects:
        if not self.paired:
            return super().effects(cells, scores)
        seeds = [seed for seed in cells[0].runs if seed in cells[1].runs]
        a, b = (
            rows[[[*cell.runs].index(seed) for seed in seeds]]
            for rows, cell in zip(scores, cells, strict=True)
        )
        return effects((a - b)[None])

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


@dataclass(frozen=True, kw_only=True)
class AlongClaim(PlannedClaim):
    """Base of the claims about the levels of a factor, from the lowest to the highest."""

    over: str  #: Key of the levels, which are numbers.
    where: Part = field(default_factory=dict)  #: Values of other keys.
    start: float | None = None  #: The lowest level that counts; None: the lowest that there is.
    stop: float | None = None  #: The highest.

    def cells(self, results: Results, place: str) -> list[CellRuns]:
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

    def levels(self, cells: Sequence[CellRuns]) -> list[float]:
        return [cell.number(self.over) for cell in cells]


@dataclass(frozen=True, kw_only=True)
class Grows(AlongClaim):
    """Every step along a factor improves quality; see :func:`.comparison.growth`."""

    margin: float = 0.0  #: What each step brings at least, per unit of the factor.

    def evidence(self, results: Results, place: str) -> Evidence:
        cells = self.cells(results, place)
        found = self.effects(cells, self.scores(results, cells))
        per = f"{results.metric(self.metric).unit} per unit of {self.over} in its smallest step"
        known = growth_in(found, self.levels(cells), self.margin, per.lstrip())
        return replace(known, note=self.direction(results))

    @property
    def threshold(self) -> float:
        return self.margin

    @property
    def claimed(self) -> str:
        return f"{super().claimed} a step, per unit of {self.over}"

    def sees(self, found: Effects, cells: Sequence[CellRuns], alpha: float) -> float:
        return growth_in(found, self.levels(cells), self.margin).sees(alpha)


@dataclass(frozen=True, kw_only=True)
class FallsFromPeak(AlongClaim):
    """Some level is better than the highest; which one is not said beforehand, but estimated."""

    margin: float = 0.0

    @property
    def threshold(self) -> float:
        return self.margin

    @property
    def claimed(self) -> str:
        return f"{super().claimed}, from the best level"

    def falls(self, found: Effects) -> Contrasts:
        """(K - 1,) from each level to the highest."""
        unit = np.eye(len(found.means))
        return found.contrasts(unit[:-1] - unit[-1])

    def sees(self, found: Effects, cells: Sequence[CellRuns], alpha: float) -> float:
        """Of the best level, whichever it is."""
        return self.margin + float(seen(self.falls(found), alpha / (len(cells) - 1)).max())

    def verdict_within(self, results: Results, place: str, alpha: float) -> Verdict:
        groups = self.cells(results, place)
        unit = results.metric(self.metric).unit
        found = self.effects(groups, self.scores(results, groups))
        if found.gap:
            return UNDECIDED, found.gap
        lower, falls = len(groups) - 1, self.falls(found)
        best, (low, high) = int(falls.value.argmax()), falls.limits(alpha / lower)
        p = min(1.0, lower * float(falls.p_above(self.margin).min()))
        level, top = (f"{group.number(self.over):g}" for group in (groups[best], groups[-1]))
        reason = (
            f"{self.over} = {level} is best, by {falls.value[best]:+.3g} {unit} over {top} "
            f"[{low[best]:+.3g}, {high[best]:+.3g}], p = {p:.2g} as the best of {lower}; "
            f"sees {self.told(self.sees(found, groups, alpha))}"
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
        groups = self.cells(results, place)
        depths = [int(level) for level in self.levels(groups)]
        scores, unit = stacked(self.scores(results, groups)), results.metric(self.metric).unit
        return saturation(scores, self.loss, alpha, depths=depths, unit=unit)

    @property
    def loss(self) -> float:
        """What does not matter."""
        return MARGIN if self.margin is None else self.margin

    @property
    def claimed(self) -> str:
        return f"margin {self.loss:g}"

    def effects(self, cells: Sequence[CellRuns], scores: Sequence[Array]) -> Effects:
        return effects(stacked(scores), share=True)

    def stated(self, cells: int, seed_sd: float, scene_sd: float, pair_sd: float) -> Effects:
        return stated(cells, seed_sd, scene_sd, share=True)

    def sees(self, found: Effects, cells: Sequence[CellRuns], alpha: float) -> float:
        """The margin with which N is likely found, by the rule of thumb of :func:`.resolves`."""
        return resolves(found, self.loss, alpha)

    def told(self, sees: float) -> str:
        return f"{sees:.2g}"

    def enough(self, sees: float, difference: float) -> bool:
        return sees <= self.loss

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
