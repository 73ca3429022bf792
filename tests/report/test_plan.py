"""What claims will see, before the runs: the numbers of a plan, and where they come from."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student

from ir_lightning.build import build
from ir_lightning.report.plan import ALL, OWN, STATED, Design, Deviations, PlanLine, Unplanned, plan
from ir_lightning.report.runs import CellRuns, Results, Run, collect
from tests.helpers.reports import content_of, part
from tests.report.test_true_verdicts import BETTER, MEAN, on_both, plant


def designed(methods: str = "ab", scenes: int = 20, **known: Any) -> Design:
    """Cells of three seeds without any score."""
    groups = [CellRuns({"method": m}, {s: Run(Path(), {}) for s in range(3)}) for m in methods]
    cells = Results(Path(), "t", "T", "cpu", groups)
    return Design(cells, ["rain800"], 3, {"rain800": scenes}, **known)


def line(design: Design, seeds: int = 3, claim: dict[str, Any] = BETTER) -> PlanLine:
    (found,) = plan([build(claim, "claim")], design, [seeds])
    assert isinstance(found, PlanLine)
    return found


def noncentral(df: float, alpha: float = 0.05) -> float:
    """The true value over its standard error that a one-sided t test sees in 80 %."""
    critical = student.ppf(1 - alpha, df)
    return float(brentq(lambda shift: nct.sf(critical, df, shift) - 0.8, 0, 50))


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_pairs_of_seeds_are_a_paired_t_test(seeds: int) -> None:
    """Where scenes do not matter: scipy's noncentral t, of S - 1 degrees of freedom."""
    design = designed(stated={"psnr": Deviations(9.0, 1e-6, 0.3)})
    sees = line(design, seeds, BETTER | {"paired": True}).sees[seeds]
    assert sees == pytest.approx(0.3 / np.sqrt(seeds) * noncentral(seeds - 1), rel=0.03)


def test_scenes_are_a_paired_t_test() -> None:
    """Where seeds do not matter, and as one of a family of two."""
    design = designed(scenes=30, stated={"psnr": Deviations(1e-6, 0.5)})
    claims = [build(BETTER, "claim"), build(BETTER | {"says": "again"}, "claim")]
    for found in plan(claims, design, [5]):
        assert isinstance(found, PlanLine)
        assert found.family == 2
        expected = 0.5 / np.sqrt(30) * noncentral(29, 0.05 / 2)
        assert found.sees[5] == pytest.approx(expected, rel=0.03)


def test_a_margin_moves_the_line() -> None:
    design = designed(stated={"psnr": Deviations(0.2, 0.5)})
    sees = {m: line(design, 5, BETTER | {"margin": m}).sees[5] for m in (0.0, 0.3)}
    worse = line(design, 5, part("NotWorse", **rest(BETTER), margin=0.2)).sees[5]
    assert sees[0.3] == pytest.approx(sees[0.0] + 0.3)
    assert worse == pytest.approx(sees[0.0] - 0.2)


def rest(claim: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in claim.items() if key != "_target_"}


@pytest.mark.parametrize("claim", [BETTER, BETTER | {"paired": True}])
def test_a_plan_of_what_was_run_is_what_its_report_prints(
    claim: dict[str, Any], tmp_path: Path
) -> None:
    """With the runs' own variances, seeds and scenes, to the last digit that a report has."""
    folder = plant(tmp_path, {"a": 3.0, "b": 2.0}, claim=claim)
    (judged,) = content_of(folder).verdicts
    found = line(designed(measured=collect(folder)), claim=claim)
    printed = re.search(r"sees (\S+)$", judged.reason)
    assert printed is not None
    assert found.claim.told(found.sees[3]) == printed[1]
    assert found.source == OWN


def test_stated_deviations_are_taken_before_those_of_runs(tmp_path: Path) -> None:
    measured = collect(plant(tmp_path, {"a": 3.0, "b": 2.0}))
    stated = {"psnr": Deviations(0.5, 1.0)}
    found = line(designed(measured=measured, stated=stated))
    assert (found.source, found.deviations[:2]) == (STATED, (0.5, 1.0))


def test_cells_that_were_not_run_vary_as_all_others_do(tmp_path: Path) -> None:
    measured = collect(plant(tmp_path, {"c": 3.0, "d": 2.0, "e": 1.0}))
    found = line(designed(measured=measured))
    assert found.source == ALL
    runs = np.array(
        [[run.values("psnr").to_numpy() for run in g.finished] for g in measured.groups]
    )
    seed = runs.mean(axis=2).var(axis=1, ddof=1).mean()
    by_scene = runs.mean(axis=1)
    pairs = [(0, 1), (0, 2), (1, 2)]
    scene = np.median([(by_scene[i] - by_scene[j]).var(ddof=1) for i, j in pairs])
    assert found.deviations[:2] == pytest.approx((np.sqrt(seed), np.sqrt(scene)))


def test_runs_of_too_few_seeds_or_scenes_say_nothing(tmp_path: Path) -> None:
    measured = collect(plant(tmp_path, {"a": 3.0, "b": 2.0}, scenes=4))
    (found,) = plan([build(BETTER, "claim")], designed(measured=measured), [3])
    assert isinstance(found, Unplanned)
    assert (found.metric, found.why) == ("psnr", "nothing says how psnr varies")


def test_networks_that_have_not_passed_their_input_are_told(tmp_path: Path) -> None:
    measured = collect(plant(tmp_path, {"a": -0.1, "b": 0.0}))
    assert line(designed(measured=measured)).untrained
    assert not line(designed(measured=measured), claim=BETTER | {"gain": None}).untrained


def test_few_seeds_and_few_scenes_decide_nothing() -> None:
    stated = {"psnr": Deviations(0.1, 0.3)}
    assert line(designed(stated=stated), 2).sees == {2: None}
    (found,) = plan([build(BETTER, "claim")], designed(scenes=4, stated=stated), [3])
    assert isinstance(found, Unplanned)
    assert found.why == "4 scenes decide nothing: a verdict takes at least 5"


def test_seeds_that_a_difference_takes() -> None:
    """The fewest whose line is not above it; or the limit that the scenes set."""
    design = designed(
        scenes=100, stated={"psnr": Deviations(0.15, 0.5)}, differences={"psnr": 0.25}
    )
    needed = int(line(design).needs)
    assert needed > 3
    enough, fewer = (line(design, count).sees[count] for count in (needed, needed - 1))
    assert enough is not None
    assert fewer is not None
    assert enough <= 0.25 < fewer
    limit = 0.5 / np.sqrt(100) * noncentral(99)
    found = line(replace(design, differences={"psnr": 0.1})).needs
    assert float(found.strip("()")) == pytest.approx(limit, abs=0.006)


def test_equivalence_within_a_small_margin_is_never_seen() -> None:
    design = designed(stated={"psnr": Deviations(0.2, 0.5)}, differences={"psnr": 0.1})
    claim = part("Equivalent", **rest(BETTER), margin=0.05)
    found = line(design, 5, claim)
    assert found.claim.told(found.sees[5] or 0) == "none"
    assert found.needs == "(none)"


def test_where_quality_saturates_takes_a_margin_of_3_3_errors() -> None:
    """Two seeds of eight levels know their spread; of two levels, they do not."""
    claim = part("SaturatesAt", over="method", expected=[1, 2], says="it saturates")
    design = designed("12345678", 50, stated={"psnr": Deviations(0.09, 0.3)})
    for seeds in (2, 5):
        error = np.sqrt(2 * 0.09**2 / seeds + 0.3**2 / 50)
        assert line(design, seeds, claim).sees[seeds] == pytest.approx(3.3 * error)
    few = designed("12", 50, stated={"psnr": Deviations(0.09, 0.3)})
    assert line(few, 2, claim).sees == {2: None}


def test_other_rules_have_no_line() -> None:
    claim = part("TwoStages", where={"method": "a"}, says="two stages")
    (found,) = plan([build(claim, "claim")], designed(), [3])
    assert isinstance(found, Unplanned)
    assert "a rule of its own" in found.why


@pytest.mark.parametrize("paired", [False, True])
def test_an_average_is_planned_from_its_cells_as_it_is_judged(paired: bool, tmp_path: Path) -> None:
    claim = MEAN | {"paired": paired}
    folder = on_both(tmp_path, claim, {"rain800": 3.0, "reside": 1.6})
    measured = collect(folder)
    groups = [CellRuns(of.cell, {s: Run(Path(), {}) for s in of.runs}) for of in measured.groups]
    cells = Results(Path(), "t", "T", "cpu", groups)
    scenes = {"rain800": 20, "reside": 20}
    found = line(Design(cells, [*scenes], 3, scenes, measured=measured), 3, claim)
    (judged,) = content_of(folder).verdicts
    assert (found.where, found.source) == ("on average", OWN)
    assert f"sees {found.claim.told(found.sees[3] or 0)}" in judged.reason
    # Stated ones count as those of one data set, with the fewest scenes of all.
    stated = {"psnr": Deviations(0.2, 0.5)}
    few = Design(cells, [*scenes], 3, scenes | {"reside": 12}, stated=stated)
    assert line(few, 3, claim).scenes == 12
    assert (
        line(few, 3, claim).sees
        == line(designed(scenes=12, stated=stated), 3, BETTER | {"paired": paired}).sees
    )


def test_how_one_network_varies_no_difference_tells(tmp_path: Path) -> None:
    claim = part("AllFallShort", of=30.0, says="none is complete")
    (found,) = plan([build(claim, "c")], designed(stated={"psnr": Deviations(0.2, 0.5)}), [3])
    assert isinstance(found, Unplanned)
    assert "only runs of its own cells" in found.why
    folder = plant(tmp_path, {"a": 3.0, "b": 2.0}, claim=claim)
    own = line(designed(measured=collect(folder)), 3, claim)
    (judged,) = content_of(folder).verdicts
    assert f"sees {own.claim.told(own.sees[3] or 0)} " in judged.reason
    spread = np.var(np.arange(20) / 20, ddof=1)  # of the planted scenes
    assert own.deviations.scene == pytest.approx(np.sqrt(spread), rel=0.02)
