"""`ir-lightning experiment NAME`: a table or figure of the paper, from its runs to its report."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ir_lightning.cli.data_sources import compose_data
from ir_lightning.cli.experiment_photographs import with_photographs
from ir_lightning.cli.inventory import inventory
from ir_lightning.errors import UsageError
from ir_lightning.report.experiment import (
    SYNTHETIC,
    Experiment,
    commands,
    locate,
    write_index,
)
from ir_lightning.report.wandb_report import Mode

console = Console(highlight=False)
Photos = Annotated[
    Path | None,
    typer.Option(help="Folder of photographs to restore (fig5).", exists=True, file_okay=False),
]

Wandb = Annotated[Mode, typer.Option(help="Log the report, where its runs were logged.")]


def experiment(
    name: Annotated[str, typer.Argument(help="A file of experiments/, such as fig3.")],
    extra: Annotated[list[str] | None, typer.Argument(help="More overrides of every run.")] = None,
    dataset: Annotated[
        str, typer.Option(help="synthetic, benchmarks (the paper's own), or one data set.")
    ] = SYNTHETIC,
    budget: Annotated[str, typer.Option(help="smoke, cpu or paper.")] = "cpu",
    launcher: Annotated[str | None, typer.Option(help="As in hydra/launcher=.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time, here, a core for each.")] = 1,
    runs: Annotated[Path, typer.Option(help="The folder of the runs.")] = Path("runs"),
    photos: Photos = None,
    wandb: Wandb = Mode.OFFLINE,
) -> None:
    """Train what an experiment still lacks, and write the index that its report reads.

    What is done already, by this experiment or another one, is not trained again.
    """
    chosen = Experiment.named(name)
    given = [*(extra or []), f"paths.runs={runs}"]
    if jobs > 1:
        if launcher is not None:
            raise UsageError(f"--jobs {jobs} is for runs here; {launcher} has settings of its own.")
        given.append("threads=1")
    wanted = chosen.jobs(dataset, budget)
    found: list[dict[str, Any]] = []
    if chosen.report["kind"] == "photographs":
        first = chosen.chosen_datasets(dataset)[0]
        chosen = with_photographs(chosen, photos, compose_data(first, given).paths.data)
    elif photos is not None:
        raise UsageError(f"--photos: {name} restores no photographs; fig5 does.")
    elif chosen.report["kind"] == "inventory":
        found = inventory(chosen, dataset, given)
    folder = runs / "reports" / f"{name}-{dataset}-{budget}"
    code = 0
    for command in commands(chosen, dataset, budget, launcher, given):
        console.print(f"train.py {' '.join(command)}", soft_wrap=True, markup=False)
        controllers = [
            subprocess.Popen([sys.executable, "-m", "ir_lightning", "train", *command])
            for _ in range(jobs)  # they share the sweep
        ]
        code = max([code, *(controller.wait() for controller in controllers)])
        if code > 1:
            raise typer.Exit(code)
    write_index(folder, chosen, wanted, locate(wanted, given), budget, found)
    report(folder, wandb=wandb)
    raise typer.Exit(code)


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of an experiment's index.")],
    photos: Photos = None,
    wandb: Wandb = Mode.OFFLINE,
    keep: Annotated[
        Path | None, typer.Option(help="Put numbers and drawings, but no photograph, there, too.")
    ] = None,
) -> None:
    """Write the tables, figures and verdicts of an experiment; reads run directories only."""
    from ir_lightning.report.archive import archive
    from ir_lightning.report.write import write_report  # what it needs takes seconds to import

    written = write_report(folder, photos, wandb)
    for path in [*written, *(archive(folder, keep) if keep else [])]:
        console.print(path, soft_wrap=True)
