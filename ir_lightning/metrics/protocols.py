"""The scoring protocols: which numbers of two images are compared, and how.

A score without its protocol means little: the same Rain100L outputs are worth 38.13 dB on luma and
36.74 dB on RGB. This module is free of torch until an image is scored, so that a configuration can
be checked at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ir_lightning.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


class Scores(NamedTuple):
    """One value per image, float64."""

    psnr: Tensor
    """(B,), dB; infinite for identical images."""
    ssim: Tensor
    """(B,), 1 for identical images."""


@dataclass(frozen=True)
class Protocol:
    """PSNR and SSIM of 8-bit images, on the planes that the protocol looks at.

    Args:
        name: how configurations, result rows and the command line call it.
        planes: (B, 3, H, W) RGB, whole numbers 0..255, to the (B, C, H, W) that are compared.
    """

    name: str
    planes: Callable[[Tensor], Tensor]

    def score(self, restored: Tensor, clean: Tensor) -> Scores:
        """Score every image by itself.

        Both images are clamped and rounded to 8 bits, as if they had been saved. PSNR is
        ``10 log10(255^2 / MSE)`` over all planes. SSIM is that of Wang et al. (2004): Gaussian
        window 11 x 11 with sigma 1.5, K = (0.01, 0.03), L = 255, averaged over the region where the
        window fits and then over the planes. Everything is computed in float64, whatever autocast
        says, and in bands, so that memory does not grow with the image.

        Args:
            restored, clean: (B, 3, H, W) in [0, 1], any floating-point type and device.

        Raises:
            UsageError: the shapes differ, or an image is smaller than 11 x 11.
        """
        from ir_lightning.metrics.similarity import similarity

        return Scores(*similarity(restored, clean, self.planes))


def rgb(image: Tensor) -> Tensor:
    """The three colour planes themselves."""
    return image


def luma(image: Tensor) -> Tensor:
    """BT.601 studio-range luma, 16..235, not rounded: MATLAB's ``rgb2ycbcr`` of a float image."""
    red, green, blue = image.split(1, dim=-3)
    return 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255


RGB8 = Protocol("rgb8", rgb)
"""The paper's: RGB, 8 bits."""

Y_MATLAB = Protocol("y-matlab", luma)
"""The deraining field's: the Y channel as the MATLAB scripts compute it."""

PROTOCOLS = (RGB8, Y_MATLAB)


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        UsageError: lists the names there are.
    """
    for protocol in PROTOCOLS:
        if protocol.name == name:
            return protocol
    names = ", ".join(protocol.name for protocol in PROTOCOLS)
    raise UsageError(f"'{name}' is no scoring protocol; choose one of: {names}.")
