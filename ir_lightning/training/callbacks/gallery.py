"""Test images to look at: a grid of a few, and whole ones, the worst and the best restored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ir_lightning.data.image_files import write_image
from ir_lightning.data.pair_maker import centre, to_pixels
from ir_lightning.files import atomic_write, write_json
from ir_lightning.runs.gallery import GALLERY, INDEX, KINDS
from ir_lightning.runs.record import score_text
from ir_lightning.systems.across_ranks import from_all

CAPTION, GAP = 18, 4  # pixels
Means = dict[str, dict[str, float]]
"""An image's scores by the run's first protocol: kind, then metric, to value."""


@dataclass(frozen=True)
class Shown:
    """A test image to look at; ``worth`` is its main score, negative where less is better."""

    name: str
    scores: Means
    worth: float
    pixels: dict[str, NDArray[np.uint8]]  # its three versions, each (H, W, 3)


class Gallery(Callback):
    """Writes ``images/gallery/``: PNGs without loss, and ``gallery.json``, which describes them.

    The first image is the same one in all runs on a data set, so that methods can be compared on
    it; the ``keep`` worst and best are so by the metric that chooses the best weights, where it
    can.
    """

    def __init__(self, run_dir: Path, keep: int = 2) -> None:
        self.folder = run_dir / GALLERY
        self.keep = keep
        self.shown: dict[int, Shown] = {}

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        place = batch_idx * trainer.world_size + trainer.global_rank
        images = dict(zip(KINDS, (batch["degraded"], outputs, batch["clean"]), strict=True))
        pixels = {kind: to_pixels(image[0]) for kind, image in images.items()}
        row, evaluation = pl_module.rows[place], pl_module.evaluation
        scores, metric = scores_of(row, evaluation.protocols[0]), evaluation.main_metric
        value = scores["restored"][metric]
        worth = value if evaluation.metrics[metric].higher_is_better else -value
        self.shown[place] = Shown(row["image"], scores, worth, pixels)
        self.shown = {number: self.shown[number] for number in self._chosen()}

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.shown = from_all(pl_module, self.shown)
        if trainer.is_global_zero:
            write_json(self.folder / INDEX, self._write())

    def _chosen(self) -> dict[int, list[str]]:
        """Places of the images to keep, each with why."""
        ranked = sorted(self.shown, key=lambda place: self.shown[place].worth)
        ends = {"worst": ranked[: self.keep], "best": ranked[::-1][: self.keep]}
        chosen: dict[int, list[str]] = {}
        for why, places in {"first": [min(self.shown)], **ends}.items():
            for place in places:
                chosen.setdefault(place, []).append(why)
        return chosen

    def _write(self) -> list[dict[str, Any]]:
        entries = []
        for number, (place, why) in enumerate(self._chosen().items()):
            shown = self.shown[place]
            files = {kind: f"{number}-{kind}.png" for kind in KINDS}
            for kind, name in files.items():
                write_image(self.folder / name, shown.pixels[kind])
            entries.append({"name": shown.name, "why": why, "scores": shown.scores, "files": files})
        return entries


def scores_of(row: dict[str, Any], protocol: str) -> Means:
    """A test image's scores by one protocol."""
    scores: Means = {kind: {} for kind in KINDS[:2]}
    for (by, kind, metric), value in row["scores"].items():
        if by == protocol:
            scores[kind][metric] = value
    return scores


class ImageGrid(Callback):
    """Draws ``rows`` test images, spread evenly over the set, cut to ``side`` x ``side`` pixels."""

    def __init__(self, path: Path, rows: int = 4, side: int = 256) -> None:
        self.path = path
        self.limit = rows
        self.side = side
        self.rows: dict[int, tuple[list[NDArray[np.uint8]], list[str]]] = {}

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        # Of all images, also those that other processes test.
        place = batch_idx * trainer.world_size + trainer.global_rank
        last = len(trainer.datamodule.test_pairs) - 1
        if place in np.linspace(0, last, self.limit).round():
            whole = (batch["degraded"], outputs, batch["clean"])
            images = [to_pixels(centre(image[0], self.side)) for image in whole]
            row, evaluation = pl_module.rows[place], pl_module.evaluation
            metric = evaluation.main_metric
            unit = evaluation.metrics[metric].unit
            scores = scores_of(row, evaluation.protocols[0])
            texts = {kind: score_text(scores[kind][metric], unit) for kind in KINDS[:2]}
            captions = [f"{kind} {text} {unit or metric}" for kind, text in texts.items()]
            self.rows[place] = (images, [*captions, f"clean: {row['image']}"])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.rows = from_all(pl_module, self.rows)
        if trainer.is_global_zero:
            with atomic_write(self.path, "wb") as file:
                Image.fromarray(self.draw()).save(file, format="PNG")

    def draw(self) -> NDArray[np.uint8]:
        """The picture, (H, W, 3)."""
        width = max(image.shape[1] for images, _ in self.rows.values() for image in images)
        height = sum(images[0].shape[0] + CAPTION + GAP for images, _ in self.rows.values())
        sheet = Image.new("RGB", (3 * width + 2 * GAP, height), "white")
        pen = ImageDraw.Draw(sheet)
        font = ImageFont.load_default(size=12)
        top = 0
        for _, (images, captions) in sorted(self.rows.items()):
            for column, (image, caption) in enumerate(zip(images, captions, strict=True)):
                left = column * (width + GAP)
                pen.text((left + 2, top + 1), caption, fill="black", font=font)
                sheet.paste(Image.fromarray(image), (left, top + CAPTION))
            top += images[0].shape[0] + CAPTION + GAP
        return np.asarray(sheet)
