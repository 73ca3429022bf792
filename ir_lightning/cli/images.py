"""`ir-lightning restore` and `ir-lightning score`: images in, images or numbers out."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from omegaconf import OmegaConf
from rich.console import Console
from rich.progress import track

from ir_lightning.build import build
from ir_lightning.cli.runs import Trust
from ir_lightning.data import image_files
from ir_lightning.data.image_files import read_image, write_image
from ir_lightning.data.pairs import PairedFolders
from ir_lightning.data.samples import Sample
from ir_lightning.errors import DataError, UsageError, one_line
from ir_lightning.files import atomic_write, finite
from ir_lightning.launch.config import requested_config
from ir_lightning.metrics.protocols import PROTOCOLS, Protocol, protocol_named
from ir_lightning.runs.record import mean, metric_label, score_text

if TYPE_CHECKING:
    from ir_lightning.metrics.scoring import Metric

stderr = Console(stderr=True, highlight=False, soft_wrap=True)

Item = TypeVar("Item")
PROTOCOL_HELP = f"Scoring protocol: {' or '.join(protocol.name for protocol in PROTOCOLS)}."


def restore(
    run_or_weights: Annotated[Path, typer.Argument(help="Run directory or .safetensors file.")],
    inputs: Annotated[list[Path], typer.Argument(help="Degraded images, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the restored images.")],
    tile: Annotated[int | None, typer.Option(help="Restore in tiles of this many pixels.")] = None,
    overlap: Annotated[
        int | None,
        typer.Option(help="Pixels that neighbouring tiles share; 32 unless the tile is small."),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")
    ] = "auto",
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Compute in bfloat16: quicker on most GPUs.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier results.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Restore images. NAME.jpg becomes OUT/NAME.png: results are stored without loss."""
    jobs = plan(inputs, out, overwrite)
    if not run_or_weights.exists():
        raise UsageError(f"{run_or_weights}: no such run directory or weights file.")
    if overlap is not None and tile is None:
        raise UsageError(f"--overlap {overlap} is for tiles: give --tile as well.")
    if overlap is None:
        overlap = 32 if tile is None else min(32, tile // 4)
    from ir_lightning.inference import load

    restorer = load(run_or_weights, device, tile, overlap, trust or (), bf16)
    broken = 0
    for degraded, restored in progress(jobs, "Restoring"):
        try:
            image = restorer(image_files.read_pixels(degraded))
        except DataError as error:
            stderr.print(one_line(error), markup=False)
            broken += 1
            continue
        with writing(restored):
            restored.parent.mkdir(parents=True, exist_ok=True)
            write_image(restored, image)
    print(f"{len(jobs) - broken} of {len(jobs)} images restored in {out}")
    raise typer.Exit(1 if broken else 0)


def score(
    restored: Annotated[Path, typer.Argument(help="Restored image, or folder of them.")],
    clean: Annotated[Path, typer.Argument(help="Clean image, or folder with the same names.")],
    protocol: Annotated[str, typer.Option(help=PROTOCOL_HELP)] = "rgb8",
    metric: Annotated[
        list[str] | None, typer.Option(help="A file of conf/metric/; may be given several times.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write a row per image to this file.")
    ] = None,
) -> None:
    """Mean scores of restored images; names are compared without their extensions."""
    chosen = protocol_named(protocol)
    pairs = _pairs(restored, clean)
    metrics = _metrics(metric or ["psnr", "ssim"])
    rows = [_score(pairs[i], chosen, metrics) for i in progress(range(len(pairs)), "Scoring")]
    if table is not None:
        with writing(table), atomic_write(table) as file:
            writer = csv.DictWriter(file, ["name", *metrics])
            writer.writeheader()
            writer.writerows(rows)
    means = {name: mean(row[name] for row in rows) for name in metrics}
    if as_json:
        record = {**finite(means), "images": len(rows), "protocol": protocol}
        print(json.dumps(record, allow_nan=False))
        return
    images = "1 image" if len(rows) == 1 else f"mean of {len(rows)} images"
    scores = []
    for name, value in means.items():
        unit = metrics[name].unit
        scores.append(f"{metric_label(name, '')} {score_text(value, unit)} {unit}".rstrip())
    print(f"{protocol}: {', '.join(scores)} ({images})")


def plan(inputs: Iterable[Path], out: Path, overwrite: bool) -> list[tuple[Path, Path]]:
    """Which file is restored into which.

    Raises:
        UsageError: an input is missing, two would become one file, or a file would be overwritten.
    """
    jobs: dict[Path, Path] = {}
    for degraded in _files(inputs):
        restored = out / f"{degraded.stem}.png"
        if restored in jobs:
            raise UsageError(
                f"{jobs[restored]} and {degraded} would both become {restored}; "
                "restore them into different folders."
            )
        jobs[restored] = degraded
    originals = {degraded.resolve() for degraded in jobs.values()}
    existing = [restored for restored in jobs if restored.exists()]
    if inputs_too := [restored for restored in existing if restored.resolve() in originals]:
        raise UsageError(f"{inputs_too[0]} is itself an input; choose another folder with --out.")
    if existing and not overwrite:
        raise UsageError(
            f"{existing[0]} exists, as do {len(existing)} of {len(jobs)} results; "
            "choose another --out, or replace them with --overwrite."
        )
    return [(degraded, restored) for restored, degraded in jobs.items()]


def _files(inputs: Iterable[Path]) -> Iterable[Path]:
    for given in inputs:
        if given.is_dir():
            yield from image_files.list_images(given)
        elif given.exists():
            yield given
        else:
            raise UsageError(f"{given}: no such file or folder.")


def _pairs(restored: Path, clean: Path) -> PairedFolders | list[Sample]:
    """Pairs of two folders, or the one pair of two files; sizes are checked before any is read."""
    if restored.is_dir() and clean.is_dir():
        folders = PairedFolders(restored, clean)
        folders.check()
        return folders
    for path in (restored, clean):
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder.")
    if restored.is_dir() or clean.is_dir():
        raise UsageError(f"{restored} and {clean}: give two folders or two files, not one of each.")
    (height, width), (clean_height, clean_width) = map(image_files.image_size, (restored, clean))
    if (height, width) != (clean_height, clean_width):
        raise UsageError(
            f"{restored} is {width} x {height} pixels, but {clean} is "
            f"{clean_width} x {clean_height}; cut both to the same size."
        )
    return [Sample(restored.stem, read_image(clean), read_image(restored))]


def progress(items: Sequence[Item], what: str) -> Iterable[Item]:
    """The items, with a bar on stderr where somebody looks at it."""
    return track(items, what, console=stderr, transient=True, disable=not stderr.is_terminal)


def _metrics(names: Sequence[str]) -> "dict[str, Metric]":
    """Build the metrics of these files of conf/metric/."""
    from ir_lightning.metrics.torch_metric import as_metric

    metrics = {}
    for chosen in names:
        config = requested_config([f"metric@evaluation.metrics={chosen}"])
        nodes: Any = OmegaConf.to_container(config.evaluation.metrics, resolve=True)
        for name, node in nodes.items():
            metrics[name] = as_metric(name, build(node, f"evaluation.metrics.{name}"))
    return metrics


def _score(pair: Sample, protocol: Protocol, metrics: "dict[str, Metric]") -> dict[str, Any]:
    """A pair's name and its score by each metric."""
    from ir_lightning.data.pair_maker import to_tensor
    from ir_lightning.metrics.scoring import score_images

    if pair.degraded is None:
        raise UsageError(f"{pair.name}: nothing to score.")
    images = to_tensor(pair.degraded)[None], to_tensor(pair.clean)[None]
    scores = score_images(*images, protocol, metrics)
    if missing := [name for name in metrics if name not in scores]:
        raise UsageError(
            f"--metric {missing[0]} cannot be computed from these images by {protocol.name}: it "
            "needs three colour planes, or the degraded images as well."
        )
    return {"name": pair.name, **{name: values.item() for name, values in scores.items()}}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in a sentence that a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}).") from None
