"""The figure of photographs: a row for each, pixel by pixel."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any, Protocol

import matplotlib

from ir_lightning.data.samples import Image
from ir_lightning.files import atomic_write
from ir_lightning.report.kinds.photograph_source import Photograph
from ir_lightning.report.kinds.zoom import Area

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.patches import Rectangle

DPI = 100
PANEL = 192  # pixels: the side of an enlarged area, and the largest height of a photograph
WIDE = 288  # the largest width of a photograph
GAP, LINE = 8, 16  # pixels between panels, and of a line of text
HEAD = 32  # characters of a line above a panel
COLOUR = "#D55E00"


class Zoomed(Protocol):
    """A row of the figure."""

    @property
    def photograph(self) -> Photograph: ...
    @property
    def area(self) -> Area: ...
    @property
    def restored(self) -> dict[str, Image]: ...
    def change(self, method: str) -> float: ...


def draw(folder: Path, rows: Sequence[Zoomed], caption: Sequence[str]) -> list[Path]:
    """Write ``figure.png`` and ``figure.pdf``.

    A pixel of an enlarged area becomes a square of whole pixels, so nothing is blurred; the whole
    photograph is made smaller. Where the clean image is known, it is the last column.

    Args:
        folder: where to.
        rows: at least one; all with the same methods.
        caption: lines above the panels, the first of which is the title.
    """
    methods = list(rows[0].restored)
    columns = 1 + len(methods) + any(row.photograph.clean is not None for row in rows)
    width = WIDE + columns * (PANEL + GAP) + 2 * GAP
    top = LINE * (len(caption) + 3)
    height = top + len(rows) * (PANEL + LINE + GAP)
    figure = pyplot.figure(figsize=(width / DPI, height / DPI), dpi=DPI)

    def text(x: float, y: float, words: str, size: float = 8, **how: Any) -> None:
        """Words by the pixels from the upper left corner."""
        figure.text(x / width, 1 - y / height, words, fontsize=size, va="top", **how)

    def panel(x: int, y: int, image: Image, scale: float) -> Any:
        """An image with its upper left corner there, ``scale`` pixels a pixel."""
        high, wide = (max(1, round(side * scale)) for side in image.shape[:2])
        place = (x / width, 1 - (y + high) / height, wide / width, high / height)
        axis = figure.add_axes(place)
        axis.imshow(image, interpolation="none" if scale >= 1 else "antialiased", aspect="auto")
        axis.set_axis_off()
        return axis

    for line, words in enumerate(caption):
        text(GAP, GAP + LINE * line, words, 10 if line == 0 else 8)
    heads = ["rainy", *methods, *(["clean"] if columns > 1 + len(methods) else [])]
    for column, words in enumerate(heads):
        place = WIDE + 2 * GAP + column * (PANEL + GAP)
        text(place, top - 2 * LINE, "\n".join(wrap(words, HEAD)), 7)
    for number, row in enumerate(rows):
        y = top + number * (PANEL + LINE + GAP)
        whole, area = row.photograph.degraded, row.area
        scale = min(PANEL / whole.shape[0], WIDE / whole.shape[1], 1.0)
        axis = panel(GAP, y, whole, scale)
        corner = (area.left - 0.5, area.top - 0.5)
        axis.add_patch(Rectangle(corner, area.side, area.side, fill=False, ec=COLOUR, lw=1.5))
        text(GAP, y + PANEL + 2, row.photograph.name)
        for column, (image, words) in enumerate(_panels(row, methods)):
            place = WIDE + 2 * GAP + column * (PANEL + GAP)
            panel(place, y, image, _enlargement(area.side))
            text(place, y + PANEL + 2, words)
    return [_save(figure, folder / f"figure.{form}") for form in ("png", "pdf")]


def _panels(row: Zoomed, methods: Sequence[str]) -> list[tuple[Image, str]]:
    """The enlarged areas of a row, each with the words below it."""
    panels = [(row.area.of(row.photograph.degraded), "")]
    panels += [(row.restored[m], f"change {row.change(m):.1f}") for m in methods]
    if row.photograph.clean is not None:
        panels.append((row.area.of(row.photograph.clean), ""))
    return panels


def _enlargement(side: int) -> float:
    """Pixels a pixel: a whole number, unless the area is larger than the panel."""
    return float(PANEL // side) if side <= PANEL else PANEL / side


def _save(figure: Any, path: Path) -> Path:
    # No date in the file: the same runs draw the same bytes.
    pdf = path.suffix == ".pdf"
    empty = {"CreationDate": None} if pdf else {"Software": None}
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format=path.suffix[1:], dpi=DPI, metadata=empty)
    if pdf:
        pyplot.close(figure)
    return path
