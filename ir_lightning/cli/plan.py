"""`ir-lightning experiment NAME --plan`: what its runs would show, before any is trained."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ir_lightning.build import build
from ir_lightning.data.combining import scored_images
from ir_lightning.errors import DataError, UsageError
from ir_lightning.launch.config import requested_config
from ir_lightning.launch.preflight import resolve
from ir_lightning.report.claims import ScoreClaim
from ir_lightning.report.experiment import Experiment, Job, chosen_datasets
from ir_lightning.report.index import INDEX, build_report
from ir_lightning.report.kept import read_kept
from ir_lightning.report.plan import (
    ALL,
    OWN,
    STATED,
    Design,
    Deviations,
    PlanLine,
    Unplanned,
    plan,
)
from ir_lightning.report.runs import CellRuns, Results, Run, collect
from ir_lightning.report.trends import SaturatesAt
from ir_lightning.statistics.effects import FEWEST_SEEDS

SEEDS = (3, 5, 8)  # what is shown beside the seeds of the budget
METRIC, ANY = "psnr", ""  # whose a value is that names none
MEAN = "~"
FORMS = {
    "--sd": "give METRIC=SEED,SCENE, two standard deviations above 0, such as psnr=0.15,0.5",
    "--difference": "give METRIC=D, a difference above 0, such as psnr=0.2",
    "--scenes": "give N or DATASET=N, a number of scenes, such as rain800=76",
}


@dataclass(frozen=True)
class Given:
    """What the command line says about a plan."""

    sd: Sequence[str]
    scenes: Sequence[str]
    difference: Sequence[str]
    variances_from: Path | None


def show_plan(
    experiment: Experiment,
    dataset: str,
    budget: str,
    folder: Path,
    overrides: Sequence[str],
    given: Given,
) -> None:
    """Print what each claim of an experiment will see; nothing is trained, and nothing written.

    Args:
        experiment, dataset, budget, overrides: of the runs.
        folder: of the experiment's report; its runs say how scores vary, if nothing else does.
        given: what is known, and asked for.

    Raises:
        UsageError: how scores vary, or how many scenes the test shows, is not known.
    """
    jobs = experiment.jobs(dataset, budget)
    if not jobs:
        raise UsageError(f"{experiment.name} trains nothing: there is nothing to plan.")
    own = collect(folder) if (folder / INDEX).exists() else None
    measured = read_results(given.variances_from) if given.variances_from else own
    stated = named("--sd", given.sd, METRIC, counts=(2, 3))
    wanted = named("--difference", given.difference, METRIC)
    datasets = chosen_datasets(experiment.datasets, dataset)
    scenes = named("--scenes", given.scenes, ANY)
    report = build_report(experiment.report, Path(experiment.name))
    metrics = {claim.metric for claim in report.claims if isinstance(claim, ScoreClaim)}
    refuse_strangers("--scenes", scenes.keys() - {ANY}, datasets)
    refuse_strangers("--sd", stated.keys(), metrics)
    refuse_strangers("--difference", wanted.keys(), metrics)
    design = Design(
        Results(folder, experiment.name, experiment.title, budget, cells_of(jobs)),
        datasets,
        len(experiment.seeds[budget]),
        {
            name: int(known[0]) if known else count_scenes(name, jobs, overrides, own)
            for name in datasets
            for known in [scenes.get(name) or scenes.get(ANY)]
        },
        {name: Deviations(*values) for name, values in stated.items()},
        measured,
        {name: values[0] for name, values in wanted.items()},
    )
    lines = plan(report.claims, design, sorted({design.seeds, *SEEDS}))
    unknown = {line.metric: None for line in lines if isinstance(line, Unplanned) and line.metric}
    planned = [line for line in lines if isinstance(line, PlanLine)]
    if unknown and not planned:
        raise UsageError(how_to_know([*unknown], measured))
    console = Console(highlight=False)
    if planned:
        console.print(table_of(design, planned))
    for sentence in legend(design, lines):
        console.print(sentence, markup=False)


def named(
    option: str, given: Sequence[str], default: str, counts: Sequence[int] = (1,)
) -> dict[str, list[float]]:
    """Numbers by the name before them; UsageError if they are none above 0, or not so many."""
    found: dict[str, list[float]] = {}
    for text in given:
        name, equals, values = text.rpartition("=")
        try:
            numbers = [float(value) for value in values.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) not in counts or not all(0 < number < math.inf for number in numbers):
            raise UsageError(f"{option} {text}: {FORMS[option]}.")
        found[name if equals else default] = numbers
    return found


def refuse_strangers(option: str, named: Iterable[str], known: Iterable[str]) -> None:
    """UsageError for a name that nothing of the plan has."""
    if strangers := sorted({*named} - {*known}):
        choice = ", ".join(sorted(known))
        raise UsageError(f"{option}: nothing here is about {strangers[0]}; choose from {choice}.")


def how_to_know(metrics: Sequence[str], measured: Results | None) -> str:
    """What to do where nothing says how scores vary, in a sentence or two."""
    few = "there is no report of these runs yet"
    if measured is not None:
        few = f"the finished runs of {measured.folder} are too few, or show too few scenes"
    known = " ".join(f"--sd {metric}=SEED,SCENE" for metric in metrics)
    return (
        f"Nothing says how scores vary ({', '.join(metrics)}): {few}. Give the standard deviations "
        f"between seeds and, of a difference, between scenes ({known}; such as "
        "--sd psnr=0.15,0.5), or the folder of a report, or of a kept one, with --variances-from."
    )


def read_results(folder: Path) -> Results:
    """The finished runs of a report's folder, or of a kept one; UsageError if it is neither."""
    return collect(folder) if (folder / INDEX).exists() else read_kept(folder)


def cells_of(jobs: Sequence[Job]) -> list[CellRuns]:
    """The cells of what is to be trained, in their order, without scores."""
    cells: dict[str, CellRuns] = {}
    for job in jobs:
        cells.setdefault(str(job.cell), CellRuns(job.cell)).runs[job.seed] = Run(Path(), {})
    return list(cells.values())


def count_scenes(
    dataset: str, jobs: Sequence[Job], overrides: Sequence[str], own: Results | None
) -> int:
    """How many scenes the test on a data set shows, by the runs that there are, or by its files.

    Raises:
        UsageError: the data set is not here.
    """
    done = own.finished if own else []
    if counts := [run.scenes.nunique() for run in done if run.record["dataset"] == dataset]:
        return counts[0]
    job = next(job for job in jobs if f"dataset={dataset}" in job.overrides)
    config = requested_config([*job.overrides, *overrides])
    try:
        data = resolve(config)["data"]
        test = build(data["test"], "data.test")
        images = scored_images(test, data["test_images"], data["evaluation_order"])
        return len({test.scene(image) for image in images})
    except (UsageError, DataError) as error:
        needs = f"Give --scenes {dataset}=N."
        raise UsageError(
            f"How many scenes {dataset} shows is not known here. {needs} {error}"
        ) from None


def table_of(design: Design, lines: Sequence[PlanLine]) -> Table:
    """A row for each claim, or for those of its places that see the same.

    What is the same in all rows stands in the title or in the legend.
    """
    several_places = len({line.where for line in lines}) > 1
    several_families = len({line.family for line in lines}) > 1
    title = design.cells.title
    if not several_places:
        title += f" ({lines[0].where}: {lines[0].scenes} scenes)"
    # A number of seeds that decides nothing has no column.
    counts = [n for n in lines[0].sees if any(line.sees[n] is not None for line in lines)]
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("claim")
    if several_places:
        table.add_column("test: scenes", overflow="fold")
    if several_families:
        table.add_column("of", justify="right")
    table.add_column("sd: seeds,\nscenes", no_wrap=True)
    for count in counts:
        style = "bold" if count == design.seeds else None
        table.add_column(f"{count}\nseeds", justify="right", style=style, no_wrap=True)
    if design.differences:
        wanted = "\n".join(f"{value:g} {name}" for name, value in design.differences.items())
        table.add_column(f"for\n{wanted}", justify="right", no_wrap=True)

    def told(line: PlanLine) -> tuple[str, ...]:
        values = [line.sees[count] for count in counts]
        sees = ("-" if value is None else line.claim.told(value) for value in values)
        needs = [line.needs or "-"] if design.differences else []
        sd = f"{line.deviations.seed:.2g}, {line.deviations.scene:.2g}"
        known = f"{MEAN if line.source == ALL else ''}{sd}"
        family = [str(line.family)] if several_families else []
        claim = f"{line.claim.says} ({line.claim.claimed})"
        return claim, str(line.scenes), *family, known, *sees, *needs

    before = ""
    for (claim, scenes, *numbers), same in groupby(lines, told):
        where = f"{', '.join(line.where for line in same)}: {scenes}"
        table.add_row("" if claim == before else claim, *[where] * several_places, *numbers)
        before = claim
    return table


def legend(design: Design, lines: Sequence[PlanLine | Unplanned]) -> list[str]:
    """What has to be known to read the table, and which claims are not in it."""
    planned = [line for line in lines if isinstance(line, PlanLine)]
    runs = sum(len(cell.runs) for cell in design.cells.groups)
    told = [f"budget {design.cells.budget}: {runs} runs, seeds of each cell: {design.seeds}."]
    if design.seeds < FEWEST_SEEDS:
        told[0] += f" So few decide no difference: it takes {FEWEST_SEEDS}."
    if planned:
        families = {line.family for line in planned}
        many = (
            f"{families.pop()} claims" if len(families) == 1 else "so many claims as stand below of"
        )
        told.append(
            "Below a number of seeds: the true value that is called supported in 80 % of "
            f"repetitions, as one of {many}; in dB, or the unit of the claim's metric."
        )
    if any(isinstance(line.claim, SaturatesAt) for line in planned):
        told.append(
            "Of a claim with 'margin': the one with which a number of levels is found in 9 of 10 "
            "sweeps, 3.3 standard errors."
        )
    sources = {line.source for line in planned}
    folder = design.measured.folder if design.measured else None
    known = {
        STATED: "sd: as stated.",
        OWN: f"sd: of the claim's cells in {folder}.",
        ALL: f"{MEAN} sd: of all cells in {folder} together.",
    }
    told += [sentence for source, sentence in known.items() if source in sources]
    if any(line.untrained for line in planned):
        told.append(
            "Some of those networks have not passed their degraded input: trained ones may vary "
            "otherwise."
        )
    if design.differences:
        told.append(
            "Last column: seeds that a difference takes; where there is a margin, those that it "
            "takes to find equal ones so. In brackets: what is seen however many the seeds, for "
            "scenes limit it."
        )
    why: dict[str, list[str]] = {}
    for line in lines:
        if isinstance(line, Unplanned):
            where = f" ({line.where})" if line.where else ""
            why.setdefault(line.why, []).append(f"{line.claim.says}{where}")
    for reason, says in why.items():
        told.append(f"Not planned: {'; '.join(dict.fromkeys(says))}: {reason}.")
    return told
