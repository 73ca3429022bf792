"""Which part of a photograph is looked at closely: chosen before anything is restored.

The rule sees the rainy photograph, and the clean one where there is one, but no method's output, so
it can favour none: **of the tenth of all windows with the least rain, the one with most detail.**

- Rain, where the clean image is known: the share of pixels that were degraded, by more than
  ``TOLERANCE`` grey levels in any channel.
- Rain on a real photograph, of which no clean image is known: its thin bright structure, less half
  of its thin dark structure, across the vertical (white and black top-hat by a horizontal line).
  Streaks only brighten, and all three colours, of which the least counts; leaves, bricks and
  letters have both, and colours. It is a guess: white specks look the same, and streaks closer to
  each other than ``STREAK`` pixels hide in part.
- Detail: the mean length of the luma's gradient, on the clean image where it is known.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import black_tophat, uniform_filter, white_tophat

from ir_lightning.data.samples import Image
from ir_lightning.errors import UsageError
from ir_lightning.report.kinds.photograph_table import Square

Plane = NDArray[np.float64]
TOLERANCE = 2
"""Grey levels of 255 by which an undegraded pixel may differ from the clean one."""
LEAST = 0.1  # share of all windows that count as those with the least rain
STREAK = 9  # pixels: what is narrower than this can be a streak
LUMA = (0.299, 0.587, 0.114)


def choose(degraded: Image, clean: Image | None, side: int = 64) -> Square:
    """The square of a photograph, (H, W, 3), by the rule above; ``clean`` is None for a real one.

    Its side is in pixels; less where the photograph is smaller.
    """
    side = min(side, *degraded.shape[:2])
    rain = streaks(degraded) if clean is None else degraded_pixels(degraded, clean).astype(float)
    # Rounded: the running sums of equal windows differ by 1e-16.
    rain_of = np.maximum(_means(rain, side), 0).round(9)
    detail_of = _means(detail(degraded if clean is None else clean), side)
    least = rain_of <= np.quantile(rain_of, LEAST)
    top, left = np.unravel_index(np.argmax(np.where(least, detail_of, -1)), detail_of.shape)
    return Square(int(left), int(top), side)


def given(name: str, numbers: object, image: Image) -> Square:
    """A square that an experiment's file gives as ``[left, top, side]``.

    Raises:
        UsageError: these are not three whole numbers, or the square is not inside ``image``.
    """
    try:
        left, top, side = (int(number) for number in numbers)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise UsageError(
            f"areas: {name}: {numbers} is no square; give [left, top, side] in pixels."
        ) from None
    height, width = image.shape[:2]
    if min(left, top, side - 1) < 0 or left + side > width or top + side > height:
        raise UsageError(
            f"areas: {name}: {numbers} is not inside the photograph of {width} x {height} pixels; "
            "give [left, top, side] in pixels."
        )
    return Square(left, top, side)


def degraded_pixels(degraded: Image, clean: Image) -> NDArray[np.bool_]:
    """(H, W): where a pixel was degraded, by more than ``TOLERANCE`` grey levels in a channel."""
    change = np.abs(degraded.astype(int) - clean.astype(int))
    return np.asarray((change > TOLERANCE).any(axis=2))


def streaks(image: Image) -> Plane:
    """(H, W): thin bright structure less half the thin dark, of the least colour; grey levels."""
    colours, size = image.astype(float), (1, STREAK, 1)
    thin = white_tophat(colours, size=size) - black_tophat(colours, size=size) / 2
    return np.asarray(thin.min(axis=2))


def detail(image: Image) -> Plane:
    """(H, W): length of the luma's gradient, grey levels a pixel."""
    return np.asarray(np.hypot(*np.gradient(image @ np.array(LUMA))))


def _means(plane: Plane, side: int) -> Plane:
    """(H - side + 1, W - side + 1): the mean of every window, by its upper left corner."""
    before = side // 2
    height, width = (length - side + 1 for length in plane.shape)
    means = np.asarray(uniform_filter(plane, size=side))
    return means[before : before + height, before : before + width]
