"""`ir-lightning data ...`: what there is, whether it is whole, and how it is read faster."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import Progress, track

from ir_lightning.build import build
from ir_lightning.cli.images import writing
from ir_lightning.data.audit.catalogue import catalogue
from ir_lightning.data.cache import prepare as cache
from ir_lightning.data.samples import Checked, Source
from ir_lightning.errors import DataError, UnpairedError, UsageError
from ir_lightning.files import write_json
from ir_lightning.launch.config import requested_config
from ir_lightning.launch.preflight import SPLITS, resolve

app = typer.Typer(no_args_is_help=True, help="Find, check and prepare data sets.")

Dataset = Annotated[str, typer.Argument(help="As in dataset=DATASET.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Of the data set's configuration, such as dataset.rule=prefix."),
]
Splits = dict[str, Source | UsageError | DataError]
"""The sources ``train``, ``validation`` and ``test``, or why they could not be built."""


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
    dataset: Dataset,
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
    from ir_lightning.cli.data_tables import show_report
    from ir_lightning.data.audit.examine import examine, is_on_disk

    place, splits = located(dataset, overrides or [], root)
    if not is_on_disk(splits):
        raise UsageError(f"dataset={dataset} draws its scenes: there are no files to check.")
    entry = catalogue().get(dataset)
    bar = Console(stderr=True)

    def watched(items: Iterable[Any], count: int) -> Iterable[Any]:
        hidden = not bar.file.isatty()
        return track(items, "Reading", count, console=bar, transient=True, disable=hidden)

    report = examine(splits, entry.pairs if entry else {}, watched)
    if report_file is not None:
        where = None if place is None else str(place)
        with writing(report_file):
            write_json(report_file, {"dataset": dataset, "root": where, **report.as_json()})
    title = dataset if place is None else f"{dataset} in {place}"
    show_report(Console(highlight=False), title, report)
    raise typer.Exit(1 if report.status == "broken" else 0)


@app.command()
def prepare(dataset: Dataset, overrides: Overrides = None) -> None:
    """Decode all images once, so that training reads crops at full speed (dataset.store=auto).

    An interrupted command continues when it is given again; given in several terminals at once,
    it uses several cores. paths.stores=FOLDER says where to.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    plain = resolve(compose_data(dataset, overrides or []))
    stores = Path(plain["paths"]["stores"]).expanduser()
    preparations = _preparations(plain["dataset"], dataset, stores)
    for preparation in preparations:
        if preparation.ready:
            console.print(f"Stored already: {preparation.ready}")
    todo = [preparation for preparation in preparations if not preparation.ready]
    if not todo:
        return
    samples = sum(len(p.source) for p in todo)
    size, free = cache.gigabytes(sum(p.bytes for p in todo)), cache.free_bytes(stores)
    room = f"in {stores} ({cache.gigabytes(free)} are free)"
    console.print(f"{dataset}: {samples} samples take {size} {room}")
    hidden = not console.is_terminal
    with Progress(console=console, transient=True, disable=hidden) as bar:
        hashing = bar.add_task("Hashing", total=sum(p.file_bytes for p in todo))
        digests = [p.digests(lambda count: bar.advance(hashing, count)) for p in todo]
        cache.refuse_without_room(
            [(p, p.directory(d)) for p, d in zip(todo, digests, strict=True)], stores
        )
        storing = bar.add_task("Storing", total=samples)
        for preparation, known in zip(todo, digests, strict=True):
            console.print(f"Stored: {preparation.run(known, lambda: bar.advance(storing))}")


def _preparations(splits: Mapping[str, Any], dataset: str, stores: Path) -> list[cache.Preparation]:
    """One for each source that reads files, after a look; train and validation may share theirs."""
    preparations: dict[str, cache.Preparation] = {}
    for split in SPLITS:
        source = build(splits[split], f"dataset.{split}")
        if isinstance(source, Checked):
            source.check()
        for leaf in cache.leaf_sources(source):
            preparation = cache.Preparation(leaf, stores)
            preparations.setdefault(preparation.quick, preparation)
    if not preparations:
        raise UsageError(f"dataset={dataset} reads no files: there is nothing to store.")
    return list(preparations.values())


def compose_data(dataset: str, overrides: Sequence[str]) -> DictConfig:
    """The configuration of ``train.py dataset=DATASET OVERRIDES``, or a UsageError."""
    return requested_config([f"dataset={dataset}", *overrides])


def located(
    dataset: str, overrides: Sequence[str], root: Path | None
) -> tuple[Path | None, Splits]:
    """Build the sources of a data set as train.py would; returns the folder where it lies, too.

    ``root`` is its own folder, or the one that holds it under the data set's name; None if the
    overrides or the environment say where it is.

    Raises:
        UsageError: there is nothing that could be examined; in the reader's words.
    """
    config = compose_data(dataset, overrides)
    places: list[Path | None] = [root]
    if root is not None and not root.is_dir():
        raise UsageError(f"{root}: no such folder; give the folder of the data set with --root.")
    if root is not None and (root / dataset).is_dir():
        places = [root / dataset, root]
    attempts = [_built(resolve(_at(config, place) if place else config)) for place in places]
    for place, splits in zip(places, attempts, strict=True):
        # Something is there, be it with files missing or broken.
        nothing = (
            isinstance(s, UsageError) and not isinstance(s, UnpairedError) for s in splits.values()
        )
        if not all(nothing):
            return place, splits
    raise next(error for error in attempts[0].values() if isinstance(error, UsageError))


def _at(config: DictConfig, root: Path) -> DictConfig:
    """The configuration for a data set that lies in ``root``."""
    config = config.copy()
    dataset = config.dataset
    keys = set(dataset)  # `in dataset` denies a key whose value is still to be given
    if "root" in keys:
        dataset.root = str(root)
    elif "train_dir" in keys:
        for key, folder in (("train_dir", "train"), ("test_dir", "test")):
            if OmegaConf.is_missing(dataset, key):
                dataset[key] = str(root / folder)
    else:
        raise UsageError(f"dataset={dataset.name} has no folder of its own: leave out --root.")
    return config


def _built(plain: dict[str, Any]) -> Splits:
    splits: Splits = {}
    for name in SPLITS:
        try:
            splits[name] = build(plain["dataset"][name], f"dataset.{name}")
        except (UsageError, DataError) as error:
            splits[name] = error
    return splits
