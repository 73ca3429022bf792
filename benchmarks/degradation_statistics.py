"""What a degradation does to a picture, in numbers; pictures are (H, W, 3) floats in [0, 1]."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Statistics = dict[str, float]
LUMA = np.float32([0.299, 0.587, 0.114])
DARKER = 2 / 255  # by how much a pixel is darker, to be counted
WINDOW = 4.0  # pixels, standard deviation of the structure tensor's window


def psnr(clean: Floats, degraded: Floats) -> float:
    """In dB, on RGB."""
    return float(-10 * np.log10(((clean - degraded) ** 2).mean()))


def of_noise(clean: Floats, degraded: Floats) -> Statistics:
    """How noise depends on brightness, and how it is shared by channels and neighbours."""
    noise = degraded - clean
    luma = clean @ LUMA
    dark, bright = np.quantile(luma, [0.2, 0.8])
    channels = np.corrcoef(noise.reshape(-1, 3).T)
    red, green, blue = noise.reshape(-1, 3).std(0)
    beside = (noise[:, 1:] * noise[:, :-1]).mean() / (noise**2).mean()
    return {
        "PSNR (dB)": psnr(clean, degraded),
        "sd, brightest fifth / darkest": float(
            noise[luma >= bright].std() / noise[luma <= dark].std()
        ),
        "correlation of channels, mean": float(channels[np.triu_indices(3, 1)].mean()),
        "correlation of red and blue": float(channels[0, 2]),
        "correlation of red and green": float(channels[0, 1]),
        "sd, red / green": float(red / green),
        "sd, blue / green": float(blue / green),
        "correlation of neighbours": float(beside),
    }


def of_rain(clean: Floats, degraded: Floats) -> Statistics:
    """How bright, how oriented, how sharp and how dense the added light is."""
    added = (degraded - clean).mean(2)
    fine = added - cv2.GaussianBlur(added, (0, 0), WINDOW)
    return {
        "PSNR (dB)": psnr(clean, degraded),
        "mean of the added light": float(added.mean()),
        "99th percentile of the added light": float(np.quantile(added, 0.99)),
        "coherence of the added light": coherence(added),
        "share of darkened pixels": float((added < -DARKER).mean()),
        "share of its power in fine detail": float((fine**2).mean() / (added**2).mean()),
    }


def of_haze(clean: Floats, degraded: Floats) -> Statistics:
    """How much contrast is left, from the top third of the picture to the bottom one."""
    thirds = zip(*(np.array_split(image @ LUMA, 3) for image in (clean, degraded)), strict=True)
    top, middle, bottom = (contrast_kept(*third) for third in thirds)
    return {
        "PSNR (dB)": psnr(clean, degraded),
        "contrast kept, top third": top,
        "contrast kept, middle third": middle,
        "contrast kept, bottom third": bottom,
        "least contrast kept of nine parts": min(ninths(clean, degraded)),
        "most contrast kept of nine parts": max(ninths(clean, degraded)),
        "mean of the added light": float((degraded - clean).mean()),
    }


def of_heavy_rain(clean: Floats, degraded: Floats) -> Statistics:
    """As of haze, and how oriented and strong the streaks are."""
    rest = (degraded - clean) @ LUMA
    fine = rest - cv2.GaussianBlur(rest, (0, 0), WINDOW)
    return {
        **of_haze(clean, degraded),
        "coherence of what is added": coherence(rest),
        "sd of what is added, fine": float(fine.std()),
    }


def coherence(layer: Floats) -> float:
    """(l1 - l2) / (l1 + l2) of the structure tensor's eigenvalues, averaged by its power: 1 where
    everything runs in one direction, 0 where nothing does (Bigun and Granlund, ICCV 1987)."""
    across, down = (
        cv2.Sobel(np.ascontiguousarray(layer, np.float32), cv2.CV_32F, *order)
        for order in ((1, 0), (0, 1))
    )
    xx, yy, xy = (
        cv2.GaussianBlur(product, (0, 0), WINDOW)
        for product in (across * across, down * down, across * down)
    )
    return float(np.hypot(xx - yy, 2 * xy).sum() / (xx + yy).sum())


def contrast_kept(clean: Floats, degraded: Floats) -> float:
    """Slope of the degraded image's differences between neighbours on the clean one's.

    For haze it is the transmission, weighted by contrast; rain that does not depend on the scene
    changes it in no direction.
    """
    pairs = [(np.diff(clean, axis=axis), np.diff(degraded, axis=axis)) for axis in (0, 1)]
    return float(sum((a * b).sum() for a, b in pairs) / sum((a * a).sum() for a, _ in pairs))


def ninths(clean: Floats, degraded: Floats) -> list[float]:
    """The contrast kept in 3 x 3 parts of a picture."""
    parts = []
    for rows in zip(*(np.array_split(image @ LUMA, 3) for image in (clean, degraded)), strict=True):
        for a, b in zip(*(np.array_split(row, 3, axis=1) for row in rows), strict=True):
            parts.append(contrast_kept(a, b))
    return parts


STATISTICS: dict[str, Callable[[Floats, Floats], Statistics]] = {
    "noise": of_noise,
    "rain": of_rain,
    "haze": of_haze,
    "heavy_rain": of_heavy_rain,
}
