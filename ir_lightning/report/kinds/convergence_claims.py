"""The claims of Fig. 7, judged over training seeds, and its table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from ir_lightning.report.claims import RULES, UNDECIDED, Rule, Verdict, judge, one
from ir_lightning.report.content import Content, Table
from ir_lightning.report.figures.convergence import draw_convergence
from ir_lightning.report.kinds.convergence import Convergence, convergence
from ir_lightning.report.runs import CellRuns, Results
from ir_lightning.statistics.comparison import cell
from ir_lightning.statistics.imbalance import Time
from ir_lightning.statistics.stages import FEWEST_SEEDS, Stages, over_seeds

ALPHA = 0.05
HEADER = (
    "training",
    "curves in two stages",
    "best fit",
    "tau fast",
    "tau slow",
    "J_D (bits)",
    "AUC",
    "t_sat(D)",
    "t_90(G)",
    "B = log2(t_90 / t_sat)",
    "nu",
    "r",
    "PSNR (dB)",
    "sd",
    "seeds",
)
Measured = Sequence[tuple[CellRuns, Sequence[Convergence]]]


def convergence_content(results: Results) -> Content:
    """Table, verdicts and figure of an experiment of kind ``convergence``."""
    measured = [(group, [convergence(run) for run in group.finished]) for group in results.groups]
    rows = [_row(results.report, group, each) for group, each in measured]
    labels = [label(results.report, group) for group, _ in measured]
    figures = draw_convergence(results, dict(zip(labels, (m for _, m in measured), strict=True)))
    notes = [f"- {reason}" for reason in _missing(labels, measured)]
    told = (
        "Taus and times in iterations; medians over seeds. A time with > was not reached; D is "
        "saturated at 0.9 bits, G converged at 90 % of its gain in validation PSNR. nu and r: how "
        "the gradient that reaches G through D falls, and what it is beside that of the pixels."
    )
    verdicts = judge(results, RULES | rules(measured))
    return Content(Table(HEADER, rows).files(), verdicts, figures, [told, *notes])


def label(report: Mapping[str, Any], group: CellRuns) -> str:
    """What a training is called: the labels of the experiment's series."""
    named = report.get("labels", {})
    return ", ".join(named.get(group.cell[key], group.cell[key]) for key in report["series"])


def _row(
    report: Mapping[str, Any], group: CellRuns, measured: Sequence[Convergence]
) -> tuple[str, ...]:
    fits = [each.stages for each in measured if each.stages]
    times = [(each.saturated, each.gained) for each in measured if each.saturated and each.gained]
    balances = [each.imbalance for each in measured if each.imbalance]
    gradients = [each.vanishing for each in measured if each.vanishing]
    scores = cell(group.matrix()) if group.finished else None
    return (
        label(report, group),
        f"{sum(fit.two_stage for fit in fits)}/{len(fits)}" if fits else "-",
        _most([fit.best for fit in fits]),
        _median([fit.taus[0] for fit in fits], ".3g"),
        _median([fit.taus[1] for fit in fits], ".3g"),
        _median([each.bits for each in measured if times], ".2f"),
        _median([each.auc for each in measured if times], ".3f"),
        _time([saturated for saturated, _ in times]),
        _time([gained for _, gained in times if gained]),
        "; ".join(str(balance) for balance in balances) or "-",
        _median([each.index for each in gradients], ".2f"),
        _median([each.ratio for each in gradients], ".2g"),
        f"{scores.mean:.2f}" if scores else "-",
        f"{scores.sd:.2f}" if scores and scores.n > 1 else "-",
        f"{len(group.finished)}/{len(group.runs)}",
    )


def _median(values: Sequence[float], form: str) -> str:
    return format(float(np.median(values)), form) if values else "-"


def _most(names: Sequence[str]) -> str:
    """Each name with its number, the most frequent first."""
    counted = sorted(set(names), key=lambda name: (-names.count(name), name))
    return ", ".join(f"{name} ({names.count(name)})" for name in counted) or "-"


def _time(times: Sequence[Time | None]) -> str:
    known = sorted(
        (time for time in times if time), key=lambda time: (time.censored, time.iteration)
    )
    if not known:
        return "-"
    middle = known[len(known) // 2]
    return f"{'> ' if middle.censored else ''}{middle.iteration:.0f}"


def _missing(labels: Iterable[str], measured: Measured) -> list[str]:
    found = [
        f"{name}: {reason}"
        for name, (_, runs) in zip(labels, measured, strict=True)
        for run in runs
        for reason in run.missing
    ]
    return list(dict.fromkeys(found))


def rules(measured: Measured) -> dict[str, Rule]:
    """The kinds of claims that are about curves."""

    def about(judged: Callable[[Sequence[Convergence]], Verdict]) -> Rule:
        def rule(results: Results, claim: Mapping[str, Any], part: Mapping[str, str]) -> Verdict:
            group = one(results, {**claim["where"], **part})
            runs = next(runs for other, runs in measured if other is group)
            return judged(runs) if runs else (UNDECIDED, "no run has finished")

        return rule

    return {"two_stage": about(_two_stage), "ahead": about(_ahead), "vanishing": about(_vanishing)}


def _two_stage(runs: Sequence[Convergence]) -> Verdict:
    """By the rule of :mod:`ir_lightning.statistics.stages`, over seeds."""
    fits: list[Stages] = [run.stages for run in runs if run.stages]
    if not fits:
        return UNDECIDED, runs[0].missing[0]
    agreed = over_seeds(fits)
    verdicts = {"two-stage": "supported", "not two-stage": "not supported"}
    return verdicts.get(agreed.verdict, UNDECIDED), f"{agreed} Seed by seed: " + " ".join(
        str(fit) for fit in fits
    )


def _ahead(runs: Sequence[Convergence]) -> Verdict:
    """B > 0, by its t interval over seeds.

    A censored time leaves a bound on B. Bounds from below may only support the claim and bounds
    from above only refute it, so each limit is taken over what it holds for.
    """
    known = [run.imbalance for run in runs if run.imbalance and run.imbalance.bound != "unknown"]
    told = "B = " + "; ".join(str(run.imbalance) for run in runs if run.imbalance)
    if len(known) < FEWEST_SEEDS or len(known) < len(runs):
        return UNDECIDED, f"{told} ({FEWEST_SEEDS} seeds with a known B are needed)"
    values = np.array([balance.value for balance in known])
    error = values.std(ddof=1) / np.sqrt(len(values)) * stdtrit(len(values) - 1, 1 - ALPHA)
    low, high = values.mean() - error, values.mean() + error
    told += f"; mean {values.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
    bounds = {balance.bound for balance in known}
    if low > 0 and bounds <= {"equal", "at least"}:
        return "supported", told
    if high < 0 and bounds <= {"equal", "at most"}:
        return "not supported", told
    return UNDECIDED, told


def _vanishing(runs: Sequence[Convergence]) -> Verdict:
    """Supported if it vanishes in every one of three or more seeds, refuted if it does in none."""
    known = [run.vanishing for run in runs if run.vanishing]
    if not known:
        return UNDECIDED, runs[0].missing[-1]
    gone = [each.verdict == "vanishing" for each in known]
    told = "; ".join(str(each) for each in known)
    if len(known) < FEWEST_SEEDS:
        return UNDECIDED, f"{told} ({FEWEST_SEEDS} seeds are needed)"
    return "supported" if all(gone) else UNDECIDED if any(gone) else "not supported", told
