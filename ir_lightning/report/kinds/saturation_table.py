"""How many levels each task needs: the paper's Table I."""

from dataclasses import dataclass, field

import pandas as pd

from ir_lightning.errors import UsageError
from ir_lightning.report.claims import SaturatesAt
from ir_lightning.report.kind import ReportKind
from ir_lightning.report.kinds.score_table import ScoreTable
from ir_lightning.report.naming import cell_name
from ir_lightning.report.runs import NotMeasuredError, Results
from ir_lightning.statistics.saturation import Saturation


@dataclass(frozen=True, kw_only=True)
class SaturationTable(ReportKind):
    """A row for each value of the key ``rows``, judged by the experiment's only claim.

    Args:
        rows: the key of the tasks, which the claim is judged for ``each`` of.
    """

    rows: str = field()

    def __post_init__(self) -> None:
        if len(self.claims) != 1 or not isinstance(self.claims[0], SaturatesAt):
            raise UsageError("a SaturationTable needs one claim, which is a SaturatesAt.")

    @property
    def claim(self) -> SaturatesAt:
        """The claim that all rows are about."""
        (claim,) = self.claims
        assert isinstance(claim, SaturatesAt)
        return claim

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        """A row for each task, and every level of each in a table of its own."""
        levels = ScoreTable(
            rows=[self.rows, self.claim.over], labels=self.labels, metrics=self.metrics
        )
        table = pd.DataFrame([self._line(results, task) for task in results.values(self.rows)])
        return {"table": table, "cells": levels.tables(results)["table"]}

    def _line(self, results: Results, task: str) -> dict[str, str]:
        expected, metric = self.claim.expected_at(task), results.metric(self.claim.metric)
        groups = results.where({self.rows: task})
        unit = f" ({metric.unit})" if metric.unit else ""
        names = [
            "levels, ours",
            f"{'highest' if metric.higher_is_better else 'lowest'} mean{unit}",
            "at",
            f"largest SE of a difference{unit}",
        ]
        try:
            saturation = self.claim.saturation(results, task)
            best = max(range(len(saturation.means)), key=saturation.means.__getitem__)
            values = [
                levels(saturation),
                metric.text(metric.sign * saturation.means[best]),
                str(saturation.depths[best]),
                metric.text(saturation.standard_error),
            ]
            needs = needed(saturation)
        except NotMeasuredError:
            values, needs = ["-"] * len(names), "-"
        return {
            "": cell_name({self.rows: task}, [self.rows], self.labels),
            "levels, paper": f"{expected[0]} to {expected[1]}" if expected else "-",
            **dict(zip(names, values, strict=True)),
            "runs": f"{sum(len(g.finished) for g in groups)}/{sum(len(g.runs) for g in groups)}",
            "would take": needs,
        }


def levels(found: Saturation) -> str:
    """N saturated in a few words: ``4``, ``3 to 5``, or what is known where it is unresolved."""
    if not found.resolved:
        return "unresolved" if found.lower in (None, found.depths[0]) else f"{found.lower} or more"
    return f"{found.upper}" if found.lower == found.upper else f"{found.lower} to {found.upper}"


def needed(found: Saturation) -> str:
    """What would resolve it, for each level."""
    if found.resolved:
        return "-"
    if found.images_needed:
        return f"{found.images_needed} test images"
    return f"{found.seeds_needed} seeds" if found.seeds_needed else "-"
