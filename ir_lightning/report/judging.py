"""The claims of an experiment, judged: supported, not supported or undecided, with the interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ir_lightning.report.claims import ALPHA, UNDECIDED, ReportClaim, Verdict
from ir_lightning.report.runs import NotMeasuredError, Results
from ir_lightning.statistics.comparison import Evidence, verdicts


@dataclass(frozen=True)
class Judged:
    """A claim and what the scores say about it."""

    says: str  #: The claim, in words.
    where: str  #: On which data set, or empty.
    verdict: str  #: ``supported``, ``not supported`` or ``undecided``.
    reason: str  #: The estimate with its interval, or what is missing.
    sampled: bool = True  #: Whether it is judged from samples, and so may be wrong by chance.
    family: str = ""  #: What it was judged together with.


def asked_of(
    claims: Sequence[ReportClaim], results: Results
) -> tuple[list[tuple[ReportClaim, str]], list[str | None]]:
    """Each claim with each of its places, and the family of each of these.

    What follows no rule with an error of its own takes no part of the others': None.
    """
    asked = [(claim, place) for claim in claims for place in claim.places(results)]
    return asked, [(claim.family or "") if claim.sampled else None for claim, _ in asked]


def judge(claims: Sequence[ReportClaim], results: Results) -> list[Judged]:
    """Judge all claims of an experiment, each family by itself, in their order."""
    asked, families = asked_of(claims, results)
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
