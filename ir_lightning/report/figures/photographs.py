"""The figure of photographs: a row for each, pixel by pixel."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any, ClassVar

from matplotlib.patches import Rectangle

from ir_lightning.data.samples import Image
from ir_lightning.report.content import Figure, ReportKind
from ir_lightning.report.figures.drawing import pyplot, save
from ir_lightning.report.kinds.photograph_table import Photograph, read_photographs
from ir_lightning.report.runs import Results

DPI = 100
PANEL = 192  # pixels: the side of an enlarged square, and the largest height of a photograph
WIDE = 288  # the largest width of a photograph
GAP, LINE = 8, 16  # pixels between panels, and of a line of text
HEAD = 32  # characters of a line above a panel
COLOUR = "#D55E00"


class PhotographFigure(Figure):
    """Photographs, each with its enlarged square, unblurred, as every method restores it.

    Where the clean image is known, it is the last column.
    """

    shows_images: ClassVar[bool] = True

    def draw(self, results: Results, report: ReportKind) -> list[Path]:
        source, rows = read_photographs(results, report)
        return _draw(results.folder, rows, _caption(results, source, rows)) if rows else []


def _caption(results: Results, source: str, rows: Sequence[Photograph]) -> list[str]:
    rain = "rain is guessed by thin bright structure"
    if shares := [row.undegraded for row in rows if row.undegraded is not None]:
        rain = f"undegraded pixels in the squares: {min(shares):.0%} to {max(shares):.0%}"
    by_hand = ", ".join(row.name for row in rows if row.by_hand)
    trained = next((run.record["dataset"] for run in results.finished), "-")
    return [
        results.title,
        f"budget={results.budget}, trained on {trained}; {source}; "
        "first finished seed of each method",
        "enlarged: of the 10% of windows with the least rain, the one with most detail "
        f"({rain}){f'; by hand: {by_hand}' if by_hand else ''}",
        "numbers: mean absolute change of the rainy square, in grey levels of 255",
    ]


def _draw(folder: Path, rows: Sequence[Photograph], caption: Sequence[str]) -> list[Path]:
    """Draw the rows below the caption, whose first line is the title."""
    methods = list(rows[0].restored)
    columns = 1 + len(methods) + any(row.clean is not None for row in rows)
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
        axis = figure.add_axes((x / width, 1 - (y + high) / height, wide / width, high / height))
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
        scale = min(PANEL / row.degraded.shape[0], WIDE / row.degraded.shape[1], 1.0)
        axis = panel(GAP, y, row.degraded, scale)
        side, corner = row.square.side, (row.square.left - 0.5, row.square.top - 0.5)
        axis.add_patch(Rectangle(corner, side, side, fill=False, ec=COLOUR, lw=1.5))
        text(GAP, y + PANEL + 2, row.name)
        # Whole pixels, unless the area is larger than the panel.
        enlargement = PANEL // side if side <= PANEL else PANEL / side
        changes = [(image, f"change {row.change(m):.1f}") for m, image in row.restored.items()]
        clean = [] if row.clean is None else [(row.clean, "")]
        for column, (image, words) in enumerate([(row.before, ""), *changes, *clean]):
            place = WIDE + 2 * GAP + column * (PANEL + GAP)
            panel(place, y, image, enlargement)
            text(place, y + PANEL + 2, words)
    return save(figure, folder, DPI)
