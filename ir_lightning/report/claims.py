"""The claims of an experiment, judged: supported, not supported or undecided, with the interval."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ir_lightning.errors import UsageError
from ir_lightning.report.runs import CellRuns, Results, stacked
from ir_lightning.statistics.comparison import compare, trend
from ir_lightning.statistics.saturation import Saturation, saturation


@dataclass(frozen=True)
class Judged:
    """A claim and what the scores say about it."""

    says: str
    where: str
    """On which data set, or empty."""
    verdict: str
    reason: str
    """The estimate with its interval, or what is missing."""


def judge(results: Results, rules: "Mapping[str, Rule] | None" = None) -> list[Judged]:
    """Every claim of the experiment's file, on each data set where it says so.

    Args:
        results: of the experiment.
        rules: what each kind of claim is judged by; RULES if None.

    Raises:
        UsageError: a claim is of no such kind, has a metric that its kind or nobody knows, or is
            about cells that there are not.
    """
    rules = RULES if rules is None else rules
    found = []
    for claim in results.report.get("claims", []):
        try:
            rule = rules[claim["kind"]]
        except KeyError:
            raise UsageError(
                f"{results.name}: a claim of kind {claim.get('kind')}; take {', '.join(rules)}."
            ) from None
        if "metric" in claim and claim["kind"] not in OF_ANY_METRIC:
            raise UsageError(
                f"{results.name}: a claim of kind {claim['kind']} has no metric; "
                f"{', '.join(OF_ANY_METRIC)} have."
            )
        each = claim.get("each")
        places = list(dict.fromkeys(g.cell[each] for g in results.groups)) if each else [""]
        for place in places:
            part = {each: place} if each else {}
            verdict, reason = rule(results, claim, part)
            found.append(Judged(claim["says"], place, verdict, reason))
    return found


Verdict = tuple[str, str]
Rule = Callable[[Results, Mapping[str, Any], Mapping[str, str]], Verdict]
UNDECIDED = "undecided"

MARGIN = 0.2
"""dB: the loss that does not matter, where a claim about saturation declares no ``margin``."""

OF_ANY_METRIC = ("difference", "not_worse", "trend")

UNITS = {"psnr": "dB", "ssim": ""}
"""The scores that a claim of these kinds can be about, as its ``metric``; PSNR if it has none."""


def one(results: Results, part: Mapping[str, Any]) -> CellRuns:
    """The only cell that has these values.

    Raises:
        UsageError: there are none or several.
    """
    groups = results.where(part)
    if len(groups) != 1:
        raise UsageError(f"{results.name}: a claim is about {dict(part)}, which {len(groups)} are.")
    return groups[0]


def metric_of(results: Results, claim: Mapping[str, Any]) -> tuple[str, str]:
    """The score that a claim is about, and its unit.

    Raises:
        UsageError: there is no such score.
    """
    metric = claim.get("metric", "psnr")
    if metric not in UNITS:
        raise UsageError(
            f"{results.name}: a claim has metric: {metric}; take {' or '.join(UNITS)}."
        )
    return metric, UNITS[metric]


def _missing(groups: list[CellRuns]) -> str | None:
    lacking = [g for g in groups if not g.finished]
    if not lacking:
        return None
    return f"{len(lacking)} of {len(groups)} cells have no finished run yet"


def _difference(
    results: Results, claim: Mapping[str, Any], part: Mapping[str, str], sign: float = 1.0
) -> Verdict:
    a, b = (one(results, {**claim[side], **part}) for side in ("a", "b"))
    if missing := _missing([a, b]):
        return UNDECIDED, missing
    margin = sign * float(claim.get("margin", 0.0))
    metric, unit = metric_of(results, claim)
    judged = compare(a.matrix(metric), b.matrix(metric), margin, unit=unit)
    return judged.verdict, judged.reason


def _not_worse(results: Results, claim: Mapping[str, Any], part: Mapping[str, str]) -> Verdict:
    """Non-inferiority: A is at most ``margin`` below B."""
    return _difference(results, claim, part, sign=-1.0)


def _along(results: Results, claim: Mapping[str, Any], part: Mapping[str, str]) -> list[CellRuns]:
    """The levels of a factor from the lowest (or ``from``) to the highest."""
    over = claim["over"]
    groups = [g for g in results.where({**claim.get("where", {}), **part}) if over in g.cell]
    begin = float(claim.get("from", "-inf"))
    groups = [group for group in groups if float(group.cell[over]) >= begin]
    return sorted(groups, key=lambda group: float(group.cell[over]))


def _trend(results: Results, claim: Mapping[str, Any], part: Mapping[str, str]) -> Verdict:
    groups = _along(results, claim, part)
    if missing := _missing(groups):
        return UNDECIDED, missing
    factor = [float(group.cell[claim["over"]]) for group in groups]
    metric, unit = metric_of(results, claim)
    per = f"{unit} per unit of {claim['over']}".lstrip()
    margin = float(claim.get("margin", 0.0))
    judged = trend(stacked(groups, metric), factor, margin, unit=per)
    return judged.verdict, judged.reason


def saturated(
    results: Results, claim: Mapping[str, Any], part: Mapping[str, str]
) -> Saturation | str:
    """Where quality saturates along the levels that a claim is about; or what is missing."""
    groups = _along(results, claim, part)
    if missing := _missing(groups):
        return missing
    levels = [int(group.cell[claim["over"]]) for group in groups]
    return saturation(stacked(groups), margin=float(claim.get("margin", MARGIN)), depths=levels)


def _saturation(results: Results, claim: Mapping[str, Any], part: Mapping[str, str]) -> Verdict:
    found, expected = saturated(results, claim, part), claim["expected"]
    if isinstance(found, str):
        return UNDECIDED, found
    if isinstance(expected, Mapping):  # of each data set its own
        if not part:
            raise UsageError(
                f"{results.name}: a claim expects levels by {', '.join(expected)}; it needs the "
                "key each, which says what these are."
            )
        (place,) = part.values()
        if place not in expected:
            return UNDECIDED, f"Nothing was printed about it. {found}"
        expected = expected[place]
    low, high = (int(bound) for bound in expected)
    if found.upper is None or found.lower is None:
        if found.lower is None or found.lower <= high:
            return UNDECIDED, str(found)
        return "not supported", f"Fewer than {found.lower} are proven too few. {found}"
    if low <= found.lower and found.upper <= high:
        return "supported", str(found)
    outside = found.lower > high or found.upper < low
    return "not supported" if outside else UNDECIDED, str(found)


RULES: dict[str, Rule] = {
    "difference": _difference,
    "not_worse": _not_worse,
    "trend": _trend,
    "saturation": _saturation,
}
