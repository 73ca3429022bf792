"""Photographs, as ``RestorePhotographs`` has restored them, and what was not degraded: Fig. 5."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ir_lightning.data.image_files import read_image
from ir_lightning.data.samples import Image
from ir_lightning.errors import UsageError
from ir_lightning.report.claims import Difference
from ir_lightning.report.content import ReportKind
from ir_lightning.report.runs import NotMeasuredError, Results
from ir_lightning.statistics.effects import cell as spread_of

UNDEGRADED = "undegraded_psnr"
PHOTOGRAPHS = Path("photographs") / "photographs.json"


@dataclass(frozen=True, kw_only=True)
class KeepsUndegraded(Difference):
    """A keeps better than B what had not been degraded, by PSNR over those pixels."""

    metric: str = UNDEGRADED


@dataclass(frozen=True)
class Square:
    """A square of a photograph, in pixels from its upper left corner."""

    left: int
    top: int
    side: int

    def of(self, image: Image) -> Image:
        """(H, W, 3) to (side, side, 3)."""
        return image[self.top : self.top + self.side, self.left : self.left + self.side]

    def __str__(self) -> str:
        return f"{self.side} x {self.side} at ({self.left}, {self.top})"


@dataclass(frozen=True)
class Photograph:
    """A photograph as it is restored by each method; a real one has no clean image."""

    name: str
    degraded: Image  #: (H, W, 3), the whole.
    square: Square  #: What is enlarged.
    by_hand: bool  #: Whether the experiment's file says which, and not the rule.
    undegraded: float | None  #: Share of the square's pixels that were not degraded.
    clean: Image | None  #: (side, side, 3).
    restored: dict[str, Image]  #: (side, side, 3) by method.

    @property
    def before(self) -> Image:
        """(side, side, 3): the square, degraded."""
        return self.square.of(self.degraded)

    def change(self, method: str) -> float:
        """Mean absolute difference between restored and degraded square, grey levels of 255."""
        return float(np.abs(self.restored[method].astype(float) - self.before).mean())


def read_photographs(results: Results, report: ReportKind) -> tuple[str, list[Photograph]]:
    """What the photographs of an experiment are, in words, and they themselves, if there are any.

    Raises:
        UsageError: the list of photographs cannot be read.
        DataError: an image is missing or broken.
    """
    path = results.folder / PHOTOGRAPHS
    if not path.exists():
        return "", []
    names = {json.dumps(cell.group.cell): cell.row for cell in report.cells(results)}

    def image(name: str) -> Image:
        return read_image(path.parent / Path(name).name)

    try:
        record = json.loads(path.read_text("utf-8"))
        photographs = [
            Photograph(
                name=str(entry["name"]),
                degraded=image(entry["degraded"]),
                square=Square(*map(int, entry["square"])),
                by_hand=bool(entry["by_hand"]),
                undegraded=entry["undegraded"],
                clean=image(entry["clean"]) if entry["clean"] else None,
                restored={
                    names[json.dumps(r["cell"])]: image(r["file"]) for r in entry["restored"]
                },
            )
            for entry in record["photographs"]
        ]
        return str(record["source"]), photographs
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: cannot be read ({error}); `ir-lightning report` --photos restores anew."
        ) from None


@dataclass(frozen=True, kw_only=True)
class PhotographTable(ReportKind):
    """A row for each method: its scores, and those over the undegraded pixels alone."""

    metrics: Sequence[str] = ("psnr",)

    def tables(self, results: Results) -> dict[str, pd.DataFrame]:
        metrics, undegraded = [*map(results.metric, self.metrics)], results.metric(UNDEGRADED)
        lines = []
        for cell in self.cells(results):
            group, mean, spread, images = cell.group, "-", "-", "-"
            try:
                scores = group.matrix(UNDEGRADED)
                measured = spread_of(scores)
                mean, spread = undegraded.text(measured.mean), undegraded.text(measured.sd)
                run = group.finished[0]
                images = f"{run.scores[UNDEGRADED].count()}/{len(run.scores)}"
            except NotMeasuredError:
                pass
            line = {"": cell.row} | {m.title: m.text(group.spread(m.name).mean) for m in metrics}
            line |= {undegraded.title: mean, "sd": spread, "images with undegraded pixels": images}
            lines.append(line | {"seeds": group.seeds})
        return {"table": pd.DataFrame(lines)}

    def notes(self, results: Results) -> list[str]:
        _, photographs = read_photographs(results, self)
        notes = super().notes(results)
        for photo in photographs:
            kept = "" if photo.undegraded is None else f", {photo.undegraded:.0%} of it undegraded"
            changes = ", ".join(f"{photo.change(m):.2f} by {m}" for m in photo.restored)
            notes.append(f"{photo.name}, {photo.square}{kept}: grey levels changed {changes}")
        return notes if photographs else [*notes, "No photograph has been restored yet."]
