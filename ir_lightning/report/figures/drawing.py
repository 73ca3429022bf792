"""How figures are drawn and written: colours for every kind of vision, no date."""

from pathlib import Path
from typing import Any

import matplotlib

from ir_lightning.files import atomic_write

matplotlib.use("Agg")
from matplotlib import pyplot

__all__ = ["COLOURS", "MARKERS", "pyplot", "save"]

# Okabe and Ito (2008): distinct for every kind of colour vision, and in grey by their markers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def save(figure: Any, folder: Path, dpi: int = 120) -> list[Path]:
    """Write ``figure.png`` and ``figure.pdf`` into a folder, and close the figure."""
    written = []
    # No date in the files: the same runs draw the same bytes.
    for form, dated in (("png", "Software"), ("pdf", "CreationDate")):
        path = folder / f"figure.{form}"
        with atomic_write(path, "wb") as file:
            figure.savefig(file, format=form, dpi=dpi, metadata={dated: None})
        written.append(path)
    pyplot.close(figure)
    return written
