"""Relative depth maps: measured ones from stereo, and a stand-in where nothing was measured."""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_lightning.arguments import check_number
from ir_lightning.data.samples import Depth

Disparity = NDArray[np.float32]  # (H, W), pixels between two views; not finite where unknown


def normalised(distance: NDArray[np.floating]) -> Depth:
    """Distances in any unit as relative depth."""
    span = np.ptp(distance)
    relative = (distance - distance.min()) / span if span > 0 else np.zeros_like(distance)
    return np.asarray(relative, np.float32)


def from_disparity(disparity: Disparity, offset: float) -> Depth:
    """Depth of a rectified stereo view: distance = focal length * baseline / (disparity + offset).

    ``disparity`` is finite everywhere, ``offset`` that of the cameras' principal points in pixels.
    """
    return normalised(1 / (disparity.astype(np.float64) + offset))


def filled(disparity: Disparity) -> Disparity:
    """Unknown pixels get the farther one of their nearest known neighbours in the same row.

    A row without any known pixel becomes the farthest one of the map.
    """
    known = np.isfinite(disparity)
    columns = np.arange(disparity.shape[1])
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, columns, len(columns))[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(np.where(known, disparity, np.inf), ((0, 0), (1, 1)), constant_values=np.inf)
    rows = np.arange(disparity.shape[0])[:, None]
    farther = np.minimum(padded[rows, left + 1], padded[rows, right + 1])
    everywhere = np.where(np.isfinite(farther), farther, disparity[known].min())
    return np.asarray(everywhere, np.float32)


def right_view(disparity: Disparity) -> Disparity:
    """The left camera's disparity map as the right camera sees it.

    A point at column x of the left image is at column x - disparity of the right one. The nearest
    point hides others there; what the left camera does not see stays unknown (NaN).
    """
    rows, columns = np.nonzero(np.isfinite(disparity))
    values = disparity[rows, columns]
    targets = np.rint(columns - values).astype(int)
    seen = (targets >= 0) & (targets < disparity.shape[1])
    warped = np.full(disparity.shape, -np.inf, np.float32)
    np.maximum.at(warped, (rows[seen], targets[seen]), values[seen])
    warped[np.isinf(warped)] = np.nan
    return warped


class DepthLaw(Protocol):
    """Makes a depth up for a picture of ``height`` x ``width`` pixels; hashable."""

    def __call__(self, height: int, width: int, seed: int) -> Depth: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class GroundPlane:
    """An open street: a plane up to a horizon, :func:`ground_plane`."""

    def __call__(self, height: int, width: int, seed: int) -> Depth:
        return ground_plane(height, width, seed)


@dataclass(frozen=True)
class Incline:
    """A room, or a slope: the distance grows evenly from the lower edge to the upper one.

    distance = exp(rise * height above the lower edge + variation * f), f a smooth random field in
    [-1, 1]. Without a horizon, and without a part that is equally far all over.

    Args:
        rise: natural logarithm of the distance at the upper edge over that at the lower one.
        variation: by which the field changes the logarithm of the distance.

    Raises:
        UsageError: one of them is not from 0 to 10.
    """

    rise: float = 2.0
    variation: float = 0.6

    def __post_init__(self) -> None:
        check_number("rise", self.rise, 0, 10)
        check_number("variation", self.variation, 0, 10)

    def __call__(self, height: int, width: int, seed: int) -> Depth:
        above = np.linspace(1, 0, height)[:, None]
        return normalised(np.exp(self.rise * above + self.variation * waves(height, width, seed)))


def waves(height: int, width: int, seed: int) -> NDArray[np.float32]:
    """(H, W): a smooth random field in [-1, 1] of about six bumps in each direction."""
    coarse = np.random.default_rng(seed).uniform(-1, 1, (6, 6)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(field, -1, 1), np.float32)


def ground_plane(height: int, width: int, seed: int) -> Depth:
    """A made-up depth with the trend and range of an outdoor scene's, but without its objects.

    The lower part is a plane that runs from the camera's feet to a horizon at a third of the
    height, where it is ten times as far; above it everything is that far. A smooth random field
    varies the distance by up to a third.
    """
    row = np.linspace(0, 1, height)[:, None]
    nearness = np.hypot(0.1, np.clip((row - 1 / 3) / (2 / 3), 0, 1))  # bends into the horizon
    return normalised(np.exp(0.3 * waves(height, width, seed)) / nearness)
