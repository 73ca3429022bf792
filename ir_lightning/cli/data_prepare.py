"""The way of `ir-lightning data prepare`: look, announce, hash, refuse or store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ir_lightning.build import build
from ir_lightning.cli.data_sources import compose_data
from ir_lightning.data.cache.prepare import (
    Preparation,
    free_bytes,
    gigabytes,
    leaf_sources,
    refuse_without_room,
)
from ir_lightning.data.samples import Checked
from ir_lightning.errors import UsageError
from ir_lightning.launch.preflight import SPLITS, resolve


def prepare_dataset(dataset: str, overrides: Sequence[str], console: Console) -> None:
    """Store every sample of a data set that is read from files.

    Raises:
        UsageError: a bad request, nothing to store, or no room for it.
        DataError: a file is broken.
    """
    plain = resolve(compose_data(dataset, overrides))
    stores = Path(plain["paths"]["stores"]).expanduser()
    preparations = _looked_at(plain["dataset"], dataset, stores)
    for preparation in preparations:
        if preparation.ready:
            console.print(f"Stored already: {preparation.ready}", soft_wrap=True, markup=False)
    todo = [preparation for preparation in preparations if not preparation.ready]
    if not todo:
        return
    samples = sum(len(p.source) for p in todo)
    console.print(
        f"{dataset}: {samples} samples take {gigabytes(sum(p.bytes for p in todo))} in {stores} "
        f"({gigabytes(free_bytes(stores))} are free)",
        soft_wrap=True,
        markup=False,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        hashing = bar.add_task("Hashing", total=sum(p.file_bytes for p in todo))
        digests = [p.digests(lambda count: bar.advance(hashing, count)) for p in todo]
        places = [(p, p.directory(d)) for p, d in zip(todo, digests, strict=True)]
        refuse_without_room(places, stores)
        storing = bar.add_task("Storing", total=samples)
        for preparation, known in zip(todo, digests, strict=True):
            directory = preparation.run(known, lambda: bar.advance(storing))
            console.print(f"Stored: {directory}", soft_wrap=True, markup=False)


def _looked_at(splits: Mapping[str, Any], dataset: str, stores: Path) -> list[Preparation]:
    """One preparation for each source that reads files; train and validation may share theirs."""
    preparations: dict[str, Preparation] = {}
    for split in SPLITS:
        source = build(splits[split], f"dataset.{split}")
        if isinstance(source, Checked):
            source.check()
        for leaf in leaf_sources(source):
            preparation = Preparation(leaf, stores)
            preparations.setdefault(preparation.quick, preparation)
    if not preparations:
        raise UsageError(f"dataset={dataset} reads no files: there is nothing to store.")
    return list(preparations.values())
