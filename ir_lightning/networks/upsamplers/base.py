"""What every way of doubling an image in the decoder has in common."""

from abc import ABC, abstractmethod

from torch import nn

from ir_lightning.errors import UsageError
from ir_lightning.networks.geometry import LEVELS


class Upsampler(ABC):
    """A recipe for the up-sampling layers of a decoder; a subclass only writes ``build``.

    Args:
        levels: which decoder layers use it: ``all``, or only the ``top`` one, which makes the
            full resolution. The others then keep the generator's native way.

    Raises:
        UsageError: for any other ``levels``.
    """

    def __init__(self, levels: str = "all") -> None:
        if levels not in LEVELS:
            raise UsageError(f"upsampler.levels must be top or all, not {levels!r}.")
        self.levels = levels

    @abstractmethod
    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        """A layer from (B, in_channels, H, W) to (B, out_channels, 2H, 2W)."""
