"""`ir-lightning experiment NAME`: a table or figure of the paper, from its runs to its report."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import psutil
import typer
from rich.console import Console

from ir_lightning.build import build, refuse_untrusted
from ir_lightning.cli.runs import Trust
from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.report.experiment import SYNTHETIC, Experiment, commands, locate, write_index
from ir_lightning.report.index import INDEX, REPORTS, read_index
from ir_lightning.report.wandb_report import Mode

PREPARED = "prepared.json"
"""In a report's folder: the step whose files lie there."""
console = Console(highlight=False)
OF_A_RUN = 2 * 2**30  # bytes: a small run of the cpu budget, and the process that watches it
Photos = Annotated[
    Path | None,
    typer.Option(help="Folder of photographs to restore (fig5).", exists=True, file_okay=False),
]
Jobs = Annotated[
    int,
    typer.Option(min=0, help="Runs at a time, here, a core for each; 0: what this machine allows."),
]
Plan = Annotated[bool, typer.Option("--plan", help="Train nothing; say what the runs would show.")]
Sd = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC=SEED,SCENE[,PAIR]",
        help="How scores vary: sd between seeds; between scenes, of a difference; between pairs "
        "of seeds, of a difference. (--plan)",
    ),
]
VariancesFrom = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="A report's folder, or a kept one, instead. (--plan)"),
]
Scenes = Annotated[
    list[str] | None,
    typer.Option(metavar="[DATASET=]N", help="How many scenes the test shows. (--plan)"),
]
Shown = Annotated[
    list[str] | None,
    typer.Option(metavar="[METRIC=]D", help="How many seeds does this difference take? (--plan)"),
]
Wandb = Annotated[Mode, typer.Option(help="Log the report, where its runs were logged.")]


def experiment(
    name: Annotated[str, typer.Argument(help="A file of experiments/, such as fig3, or a path.")],
    extra: Annotated[list[str] | None, typer.Argument(help="More overrides of every run.")] = None,
    dataset: Annotated[
        str, typer.Option(help="synthetic, benchmarks (the paper's own), or one data set.")
    ] = SYNTHETIC,
    budget: Annotated[str, typer.Option(help="smoke, cpu or paper.")] = "cpu",
    launcher: Annotated[str | None, typer.Option(help="As in hydra/launcher=.")] = None,
    jobs: Jobs = 1,
    runs: Annotated[Path, typer.Option(help="The folder of the runs.")] = Path("runs"),
    photos: Photos = None,
    wandb: Wandb = Mode.OFFLINE,
    plan: Plan = False,
    sd: Sd = None,
    scenes: Scenes = None,
    difference: Shown = None,
    variances_from: VariancesFrom = None,
) -> None:
    """Train what an experiment still lacks, and write the index that its report reads.

    What is done already, by this experiment or another one, is not trained again. --plan trains
    nothing, and says what true difference each claim would see.
    """
    chosen = Experiment.named(name)
    folder = runs / "reports" / f"{chosen.name}-{dataset}-{budget}"
    if plan:
        from ir_lightning.cli.plan import Given, show_plan  # what it needs takes seconds to import

        given = Given(sd or [], scenes or [], difference or [], variances_from)
        return show_plan(chosen, dataset, budget, folder, extra or [], given)
    if sd or scenes or difference or variances_from:
        needless = "--sd, --scenes, --difference and --variances-from are read by --plan alone"
        raise UsageError(f"{needless}: give that, too, or none of them.")
    chosen = replace(chosen, prepare=with_photos(chosen.name, chosen.prepare, photos))
    overrides = [*(extra or []), f"paths.runs={runs}"]
    jobs = jobs or (jobs_here() if launcher is None else 1)
    if jobs > 1:
        if launcher is not None:
            raise UsageError(f"--jobs {jobs} is for runs here; {launcher} has settings of its own.")
        overrides.append("threads=1")
    wanted = chosen.jobs(dataset, budget)
    code = 0
    for command in commands(chosen, dataset, budget, launcher, overrides):
        console.print(f"train.py {' '.join(command)}", soft_wrap=True, markup=False)
        controllers = [
            subprocess.Popen([sys.executable, "-m", "ir_lightning", "train", *command])
            for _ in range(jobs)  # they share the sweep
        ]
        code = max([code, *(controller.wait() for controller in controllers)])
        if code > 1:
            raise typer.Exit(code)
    write_index(folder, chosen, wanted, locate(wanted, overrides), budget, dataset, overrides)
    prepare(folder, chosen.prepare, chosen.packages)
    report(folder, wandb=wandb, trust=chosen.packages)
    raise typer.Exit(code)


def jobs_here() -> int:
    """How many small runs this machine takes at a time: a core and some memory for each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, psutil.virtual_memory().available // OF_A_RUN))


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of an experiment's index.")],
    photos: Photos = None,
    wandb: Wandb = Mode.OFFLINE,
    keep: Annotated[
        Path | None, typer.Option(help="Put numbers and drawings, but no photograph, there, too.")
    ] = None,
    trust: Trust = None,
) -> None:
    """Write the tables, figures and verdicts of an experiment; reads run directories only."""
    from ir_lightning.report.write import write_report  # what it needs takes seconds to import

    index = read_index(folder)
    step = with_photos(index["experiment"], index.get("prepare"), photos)
    if step != prepared(folder):
        prepare(folder, step, trust or [])
    for path in write_report(folder, wandb, keep, trust or []):
        console.print(path, soft_wrap=True)


def with_photos(
    name: str, step: dict[str, Any] | None, photos: Path | None
) -> dict[str, Any] | None:
    """An experiment's step before its report, with the user's own photographs if there are any.

    Raises:
        UsageError: the experiment restores no photographs.
    """
    if photos is None:
        return step
    if not step or "folder" not in step:
        raise UsageError(f"--photos: {name} restores no photographs; fig5 does.")
    # Squares by hand are of other photographs.
    return {**step, "folder": str(photos.expanduser().resolve()), "areas": {}}


def prepare(folder: Path, step: dict[str, Any] | None, trust: Sequence[str] = ()) -> None:
    """Run the step before a report, which leaves files in the folder of the experiment's index."""
    done = folder / PREPARED
    done.unlink(missing_ok=True)
    if step is not None:
        refuse_untrusted(step, folder / INDEX, REPORTS.plus(trust))
        build(step, "prepare")(folder, read_index(folder))
        write_json(done, step)


def prepared(folder: Path) -> dict[str, Any] | None:
    """The step whose files lie in a report's folder."""
    try:
        return cast(dict[str, Any], json.loads((folder / PREPARED).read_text("utf-8")))
    except (OSError, ValueError):
        return None
