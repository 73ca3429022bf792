"""The colours, the shading and the texture of dead leaves."""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
TILE = 256  # side of the repeating texture, in pixels


def palette(rng: np.random.Generator, count: int) -> Floats:
    """(count, 3): RGB colours in [0, 1] that could be of one scene.

    In CIE L*a*b* the lightness of photographs varies far more than their chroma: lightness is
    uniform, chroma exponential (most things are nearly gray, few are vivid), and the hues gather
    around a few of the scene's own.
    """
    lightness = rng.uniform(5, 97, count)
    chroma = np.minimum(rng.exponential(14, count), 70)
    hues = rng.uniform(0, 2 * np.pi, 4)
    hue = rng.choice(hues, count) + rng.normal(0, 0.2, count)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], 1).astype(np.float32)
    return np.clip(cv2.cvtColor(lab[None], cv2.COLOR_Lab2RGB)[0], 0, 1)


def paint(rng: np.random.Generator, leaf: NDArray[np.integer], colours: Floats) -> Floats:
    """(H, W, 3): every pixel in the colour of its leaf, shaded and textured.

    Args:
        rng: of the scene.
        leaf: (H, W), index into ``colours``.
        colours: (leaves, 3), RGB in [0, 1].
    """
    count = len(colours)
    y = np.arange(leaf.shape[0], dtype=np.int32)[:, None]
    x = np.arange(leaf.shape[1], dtype=np.int32)
    turn, phase = rng.uniform(0, 2 * np.pi, (2, count))
    frequency = 2 * np.pi / rng.uniform(100, 1000, count)
    wave_x, wave_y = frequency * np.cos(turn), frequency * np.sin(turn)
    contrast = rng.uniform(0, 0.3, count)
    shade = _at(contrast, leaf) * np.sin(
        _at(wave_x, leaf) * x + _at(wave_y, leaf) * y + _at(phase, leaf)
    )
    from_x, from_y = rng.integers(0, TILE, (2, count), np.int32)
    tile = texture(rng)[(y + from_y[leaf]) % TILE, (x + from_x[leaf]) % TILE]
    roughness = np.minimum(rng.exponential(0.06, count), 0.3)
    brightness = 1 + shade + _at(roughness, leaf) * tile
    return np.clip(colours[leaf] * brightness[:, :, None], 0, 1)


def texture(rng: np.random.Generator) -> Floats:
    """(TILE, TILE): periodic noise of mean 0 and variance 1, whose amplitude falls like 1/f."""
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE))
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(spectrum / frequency)
    return np.asarray(noise / noise.std(), np.float32)


def _at(values: NDArray[np.floating], leaf: NDArray[np.integer]) -> Floats:
    return values.astype(np.float32)[leaf]
