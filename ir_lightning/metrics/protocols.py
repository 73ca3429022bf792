"""The scoring protocols: which numbers of two images are compared. Torch is not imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ir_lightning.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Protocol:
    """What metrics see of 8-bit images.

    Args:
        name: how configurations, result rows and the command line call it.
        planes: (B, 3, H, W) RGB, whole numbers 0..255, to the (B, C, H, W) that are compared.
        colour: they are the three colour planes.
    """

    name: str
    planes: Callable[[Tensor], Tensor]
    colour: bool

    def show(self, image: Tensor) -> Tensor:
        """The planes of images that are clamped and rounded to 8 bits, as if they had been saved.

        (B, 3, H, W) in [0, 1], of any floating-point type and device, becomes (B, C, H, W), 0..255
        in float64, so that scores are exact on every device; on the CPU where Apple's GPUs have
        none.
        """
        exact = (image.cpu() if image.device.type == "mps" else image).double()
        clamped = exact.clamp(0, 1) if exact is image else exact.clamp_(0, 1)
        return self.planes(clamped.mul_(255).round_())


def luma(image: Tensor) -> Tensor:
    """BT.601 studio-range luma, 16..235, not rounded: MATLAB's ``rgb2ycbcr`` of a float image."""
    red, green, blue = (image.narrow(-3, plane, 1) for plane in range(3))
    weighted = (65.481 * red).add_(green, alpha=128.553).add_(blue, alpha=24.966)
    return weighted.div_(255).add_(16)


RGB8 = Protocol("rgb8", lambda image: image, colour=True)
"""The paper's: RGB, 8 bits."""

Y_MATLAB = Protocol("y-matlab", luma, colour=False)
"""The deraining field's: the Y channel as the MATLAB scripts compute it."""

PROTOCOLS = (RGB8, Y_MATLAB)


def protocol_named(name: str) -> Protocol:
    """The protocol of that name, or a UsageError that lists the names there are."""
    named = {protocol.name: protocol for protocol in PROTOCOLS}
    if name in named:
        return named[name]
    raise UsageError(f"'{name}' is no scoring protocol; choose one of: {', '.join(named)}.")
