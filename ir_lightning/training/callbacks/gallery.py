"""Test images to look at: a grid of a few, and whole ones, the worst and the best restored."""

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
from ir_lightning.systems.across_ranks import from_all

SCORES = ("psnr", "ssim")
Shown = tuple[dict[str, Any], dict[str, NDArray[np.uint8]]]
"""An image's row of scores, and its three versions, each (H, W, 3)."""


class Gallery(Callback):
    """Writes ``images/gallery/``: PNGs without loss, and ``gallery.json``, which describes them.

    The first image is the same one in all runs on a data set, so that methods can be compared on
    it; worst and best are so by the restored PSNR of the run's protocol.

    Args:
        run_dir: the run's directory.
        keep: how many of the worst and of the best.
    """

    def __init__(self, run_dir: Path, keep: int = 2) -> None:
        self.folder = run_dir / GALLERY
        self.keep = keep
        self.shown: dict[int, Shown] = {}

    def on_test_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        place = batch_idx * trainer.world_size + trainer.global_rank
        images = dict(zip(KINDS, (batch["degraded"], outputs, batch["clean"]), strict=True))
        pixels = {kind: to_pixels(image[0]) for kind, image in images.items()}
        self.shown[place] = (dict(pl_module.rows[place]), pixels)
        self.shown = {number: self.shown[number] for number in self._chosen()}

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.shown = from_all(pl_module, self.shown)
        if trainer.is_global_zero:
            write_json(self.folder / INDEX, self._write())

    def _chosen(self) -> dict[int, list[str]]:
        """Places of the images to keep, each with why."""
        ranked = sorted(self.shown, key=lambda place: self.shown[place][0]["restored_psnr"])
        chosen: dict[int, list[str]] = {}
        for why, places in (
            ("first", [min(self.shown)]),
            ("worst", ranked[: self.keep]),
            ("best", ranked[::-1][: self.keep]),
        ):
            for place in places:
                chosen.setdefault(place, []).append(why)
        return chosen

    def _write(self) -> list[dict[str, Any]]:
        entries = []
        for number, (place, why) in enumerate(self._chosen().items()):
            row, pixels = self.shown[place]
            files = {kind: f"{number}-{kind}.png" for kind in KINDS}
            for kind, name in files.items():
                write_image(self.folder / name, pixels[kind])
            scores = {f"{kind}_{m}": row[f"{kind}_{m}"] for kind in KINDS[:2] for m in SCORES}
            entries.append({"name": row["name"], "why": why, **scores, "files": files})
        return entries


CAPTION = 18  # pixels
GAP = 4  # pixels


class ImageGrid(Callback):
    """Draws test images, spread evenly over the set, a row each, at their own pixels.

    Args:
        path: the PNG to write.
        rows: how many images.
        side: each is cut to at most ``side`` x ``side`` pixels around its centre.
    """

    def __init__(self, path: Path, rows: int = 4, side: int = 256) -> None:
        self.path = path
        self.limit = rows
        self.side = side
        self.rows: dict[int, tuple[list[NDArray[np.uint8]], list[str]]] = {}

    def on_test_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        # Of all images, also those that other processes test.
        place = batch_idx * trainer.world_size + trainer.global_rank
        in_all = len(trainer.datamodule.test_pairs)
        if place in np.linspace(0, in_all - 1, self.limit).round():
            whole = (batch["degraded"], outputs, batch["clean"])
            images = [to_pixels(centre(image[0], self.side)) for image in whole]
            row = pl_module.rows[place]
            scores = [f"{row[f'{kind}_psnr']:.2f} dB" for kind in ("degraded", "restored")]
            captions = [f"degraded {scores[0]}", f"restored {scores[1]}", f"clean: {row['name']}"]
            self.rows[place] = (images, captions)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.rows = from_all(pl_module, self.rows)
        if not trainer.is_global_zero:
            return
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
