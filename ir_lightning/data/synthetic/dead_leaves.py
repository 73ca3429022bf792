"""Dead leaves: synthetic scenes that share the statistics of photographs and know their depth."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_lightning.arguments import check_whole, check_wholes, written
from ir_lightning.data.samples import Depth, Image, Sample, fixed
from ir_lightning.data.synthetic.depth import normalised
from ir_lightning.errors import UsageError

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]  # (H, W): the leaf that is seen; 0 lies in front of 1, ... -1: none

FINE = 2  # pixels drawn per side of a pixel; their mean smooths the leaves' edges
TILE = 256  # side of the repeating texture, in pixels


class DeadLeaves:
    """Discs and polygons that occlude each other until they cover the image.

    With radii of density p(r) ~ r^-3 the picture has the power spectrum, edges and occlusions of
    photographs. Lee, Mumford, Huang, "Occlusion Models for Natural Images", IJCV 2001. A leaf has a
    colour of its scene's palette, a shading gradient and a texture. The depth is the order of
    occlusion. A scene is a pure function of (seed, index, size, radius).

    Args:
        count, seed: number of scenes; another seed gives other scenes.
        size: pixels, of a square or (height, width).
        radius: smallest and largest radius of a leaf, in pixels.

    Raises:
        UsageError: no scene, or an impossible size or radius.
    """

    def __init__(
        self,
        count: int,
        size: int | Sequence[int] = 256,
        seed: int = 0,
        radius: Sequence[float] = (6.0, 100.0),
    ) -> None:
        self.count = check_whole("count", count, 1)
        self.seed = check_whole("seed", seed, 0)
        sides = [size, size] if isinstance(size, int) else size
        if len(check_wholes("size", sides)) != 2:
            raise UsageError(f"size={written(size)}: give a whole number, or [height, width].")
        self.height, self.width = sides
        try:
            self.smallest, self.largest = map(float, radius)
        except (TypeError, ValueError):
            self.smallest = self.largest = 0.0
        if not 0 < self.smallest < self.largest:
            raise UsageError(f"radius={written(radius)}: give [smallest, largest], both above 0.")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        name, radii = self.name(index), (self.smallest, self.largest)
        clean, depth = _scene(self.seed, index, self.height, self.width, *radii)
        return Sample(name, clean, depth=depth)

    def name(self, index: int) -> str:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return f"leaves-{self.seed}-{index}"

    def size(self, index: int) -> tuple[int, int]:
        self.name(index)  # refuses an index beyond the last
        return self.height, self.width

    def scene(self, index: int) -> str:
        return self.name(index)


@lru_cache(maxsize=256)  # of training, validation and test together
def _scene(
    seed: int, index: int, height: int, width: int, smallest: float, largest: float
) -> tuple[Image, Depth]:
    rng = np.random.default_rng([seed, index])
    labels = scatter(rng, FINE * height, FINE * width, FINE * smallest, FINE * largest)
    visible = np.bincount(labels.ravel()) > 0
    leaf = (visible.cumsum() - 1)[labels]  # counts visible leaves only
    fine = paint(rng, leaf, palette(rng, visible.sum()))
    clean = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return fixed(np.rint(255 * clean).astype(np.uint8), normalised(leaf[::FINE, ::FINE]))


def radii(rng: np.random.Generator, count: int, smallest: float, largest: float) -> Floats:
    """Radii of density p(r) ~ r^-3: all octaves of leaves have the same area."""
    return rng.uniform(largest**-2, smallest**-2, count) ** -0.5


def scatter(
    rng: np.random.Generator, height: int, width: int, smallest: float, largest: float
) -> Labels:
    """Throw leaves behind those already lying there until every pixel is covered."""
    labels = np.full((height, width), -1, np.int32)
    ratio = largest / smallest
    mean_area = 2 * np.pi * smallest**2 * np.log(ratio) / (1 - ratio**-2)
    batch = 16 + int((height + 2 * largest) * (width + 2 * largest) / mean_area)
    thrown = 0
    while (bare := labels < 0).any():
        radius = radii(rng, batch, smallest, largest)
        centre = rng.uniform(-largest, (width + largest, height + largest), (batch, 2))
        outline = outlines(rng, centre, radius)
        # What would be hidden altogether need not be drawn: in the end nearly everything.
        behind = np.full_like(labels, -1)
        for leaf in np.flatnonzero(_touches(bare, outline))[::-1].tolist():
            cv2.fillPoly(behind, [outline[leaf]], leaf + thrown)
        labels = np.where(bare, behind, labels)
        thrown += batch
    return labels


def outlines(rng: np.random.Generator, centre: Floats, radius: Floats) -> Labels:
    """(leaves, 20, 2): corners x, y. Half are discs, the others have 3 to 8 corners on a circle."""
    count, most = len(radius), 20
    round_ones = rng.random(count) < 0.5
    corners = np.where(round_ones, most, rng.integers(3, 9, count))[:, None]
    ragged = np.where(round_ones, 0, 0.7)[:, None] * rng.uniform(-0.5, 0.5, (count, most))
    corner = np.minimum(np.arange(most), corners - 1)  # the last corner stands in for those missing
    place = corner + np.take_along_axis(ragged, corner, 1)
    angle = rng.uniform(0, 2 * np.pi, (count, 1)) + 2 * np.pi / corners * place
    shape = np.stack([np.cos(angle), np.sin(angle)], 2) * radius[:, None, None]
    return np.rint(centre[:, None] + shape).astype(np.int32)


def _touches(bare: NDArray[np.bool_], outline: Labels) -> NDArray[np.bool_]:
    """(leaves,): whether a leaf's bounding box holds a bare pixel."""
    total = cv2.integral(bare.astype(np.uint8))
    limits = np.array(bare.shape[::-1])
    x0, y0 = np.clip(outline.min(1), 0, limits).T
    x1, y1 = np.clip(outline.max(1) + 1, 0, limits).T
    return np.asarray(total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0] > 0)


def palette(rng: np.random.Generator, count: int) -> Floats:
    """(count, 3): RGB colours in [0, 1] that could be of one scene.

    In CIE L*a*b* lightness is uniform, chroma exponential (most things are nearly gray, few are
    vivid), and the hues gather around a few of the scene's own.
    """
    lightness = rng.uniform(5, 97, count)
    chroma = np.minimum(rng.exponential(14, count), 70)
    hue = rng.choice(rng.uniform(0, 2 * np.pi, 4), count) + rng.normal(0, 0.2, count)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], 1).astype(np.float32)
    return np.asarray(np.clip(cv2.cvtColor(lab[None], cv2.COLOR_Lab2RGB)[0], 0, 1))


def paint(rng: np.random.Generator, leaf: NDArray[np.integer], colours: Floats) -> Floats:
    """(H, W, 3): pixels in the ``colours``, (leaves, 3), of their leaves, shaded and textured."""
    count = len(colours)
    y = np.arange(leaf.shape[0], dtype=np.int32)[:, None]
    x = np.arange(leaf.shape[1], dtype=np.int32)
    turn, phase = rng.uniform(0, 2 * np.pi, (2, count))
    frequency = 2 * np.pi / rng.uniform(100, 1000, count)
    wave_x, wave_y = _at(frequency * np.cos(turn), leaf), _at(frequency * np.sin(turn), leaf)
    contrast = _at(rng.uniform(0, 0.3, count), leaf)
    shade = contrast * np.sin(wave_x * x + wave_y * y + _at(phase, leaf))
    from_x, from_y = rng.integers(0, TILE, (2, count), np.int32)
    tile = texture(rng)[(y + from_y[leaf]) % TILE, (x + from_x[leaf]) % TILE]
    roughness = _at(np.minimum(rng.exponential(0.06, count), 0.3), leaf)
    brightness = 1 + shade + roughness * tile
    return np.asarray(np.clip(colours[leaf] * brightness[:, :, None], 0, 1))


def texture(rng: np.random.Generator) -> Floats:
    """(TILE, TILE): periodic noise of mean 0 and variance 1, whose amplitude falls like 1/f."""
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE))
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(spectrum / frequency)
    return np.asarray(noise / noise.std(), np.float32)


def _at(values: NDArray[np.floating], leaf: NDArray[np.integer]) -> Floats:
    return np.asarray(values.astype(np.float32)[leaf])
