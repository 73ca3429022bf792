"""One picture that shows what a run does: degraded, restored, clean, for the same few images."""

from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ir_lightning.data.dataset import centre, to_pixels
from ir_lightning.files import atomic_write
from ir_lightning.systems.processes import from_all

CAPTION = 18  # pixels
GAP = 4  # pixels


class Grid(Callback):
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
