"""The kinds of claims about the levels of a factor: does quality grow, fall or saturate?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ir_lightning.errors import UsageError
from ir_lightning.report.claims import (
    ALPHA,
    UNDECIDED,
    Part,
    PlannedClaim,
    Read,
    ScoreClaim,
    Verdict,
)
from ir_lightning.report.runs import CellRuns, Results, arrays
from ir_lightning.statistics.comparison import Evidence, growth_in
from ir_lightning.statistics.effects import Contrasts, Effects, effects, stacked, stated
from ir_lightning.statistics.power import seen
from ir_lightning.statistics.saturation import Saturation, resolves, saturation

MARGIN = 0.2  #: dB: the loss of PSNR that does not matter.


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
        found = self.measured(results, cells)
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
        found = self.measured(results, groups)
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
        scores = stacked(self.scores(results, groups))
        unit = results.metric(self.metric).unit
        return saturation(scores, self.loss, alpha, depths=depths, unit=unit)

    @property
    def loss(self) -> float:
        """What does not matter."""
        return MARGIN if self.margin is None else self.margin

    @property
    def claimed(self) -> str:
        return f"margin {self.loss:g}"

    def effects(self, cells: Sequence[CellRuns], read: Read) -> Effects:
        return effects(stacked(arrays(read(cells))), share=True)

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
