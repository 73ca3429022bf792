"""`ir-lightning data ...`: what there is, whether it is whole, and how it is read faster."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from ir_lightning.data.audit.catalogue import catalogue
from ir_lightning.errors import UsageError
from ir_lightning.files import write_json

app = typer.Typer(no_args_is_help=True, help="Find, check and prepare data sets.")

Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Of the data set's configuration, such as dataset.rule=prefix."),
]


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="One data set, with its files.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Show the data sets: what they are, where to get them, what their folders should hold."""
    from ir_lightning.cli.data_tables import show_entries, show_entry

    entries = catalogue()
    if name is not None and name not in entries:
        raise UsageError(f"There is no data set '{name}'; choose from {', '.join(entries)}.")
    console = Console(highlight=False)
    if as_json:
        chosen = entries if name is None else {name: entries[name]}
        print(json.dumps({key: asdict(entry) for key, entry in chosen.items()}, indent=2))
    elif name is not None:
        show_entry(console, name, entries[name])
    else:
        show_entries(console, entries)
        console.print("More: `ir-lightning data list NAME` shows a data set's files.")


@app.command()
def check(
    dataset: Annotated[str, typer.Argument(help="As in dataset=DATASET.")],
    overrides: Overrides = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of the data set, or the folder that holds it.")
    ] = None,
    report_file: Annotated[
        Path | None, typer.Option("--json", help="Write a full report to this file.")
    ] = None,
) -> None:
    """Decode all images and compare them: what is broken, missing, or there twice.

    Ends with 1 if something is broken, with 0 if there are only warnings.
    """
    from ir_lightning.cli.data_sources import located
    from ir_lightning.cli.data_tables import show_report
    from ir_lightning.data.audit.examine import examine, is_on_disk

    place, splits = located(dataset, overrides or [], root)
    if not is_on_disk(splits):
        raise UsageError(f"dataset={dataset} draws its scenes: there are no files to check.")
    entry = catalogue().get(dataset)
    report = examine(splits, entry.pairs if entry else {}, _watched)
    if report_file is not None:
        where = None if place is None else str(place)
        try:
            write_json(report_file, {"dataset": dataset, "root": where, **report.as_json()})
        except OSError as error:
            raise UsageError(f"{report_file}: cannot be written ({error.strerror}).") from None
    title = dataset if place is None else f"{dataset} in {place}"
    show_report(Console(highlight=False), title, report)
    raise typer.Exit(1 if report.status == "broken" else 0)


@app.command()
def prepare(
    dataset: Annotated[str, typer.Argument(help="As in dataset=DATASET.")],
    overrides: Overrides = None,
) -> None:
    """Decode all images once, so that training reads crops at full speed (dataset.store=auto).

    An interrupted command continues when it is given again; given in several terminals at once,
    it uses several cores. paths.stores=FOLDER says where to.
    """
    from ir_lightning.cli.data_prepare import prepare_dataset

    prepare_dataset(dataset, overrides or [], Console(stderr=True, highlight=False))


def _watched(items: Iterable[Any], count: int) -> Iterable[Any]:
    """Show how far it is, where somebody looks at it."""
    console = Console(stderr=True)
    return track(
        items,
        "Reading",
        total=count,
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
