"""How a trained system is evaluated, whichever networks it trains."""

from dataclasses import dataclass

from ir_lightning.arguments import check_choice, check_whole, written
from ir_lightning.errors import UsageError
from ir_lightning.metrics.protocols import protocol_named
from ir_lightning.networks.tiling import check_tiles


@dataclass(frozen=True)
class Evaluation:
    """Everything about validation and test.

    Args:
        protocols: names of the scoring protocols; validation and model choice use the first.
        weights: which ones are tested: ``best`` (of the validations) or ``last``.
        whole_pixels: larger images are restored in overlapping tiles, which bounds the memory;
            None restores every image whole.
        tile, overlap: their largest side and what neighbours share, in pixels.

    Raises:
        UsageError: an unknown protocol or choice, or a number out of range.
    """

    protocols: list[str]
    weights: str = "best"
    whole_pixels: int | None = None
    tile: int = 1024
    overlap: int = 128

    def __post_init__(self) -> None:
        if not (isinstance(self.protocols, list) and self.protocols):
            raise UsageError(f"protocols={written(self.protocols)}: give a list, such as [rgb8].")
        for name in self.protocols:
            protocol_named(name)
        check_choice("weights", self.weights, ("best", "last"))
        check_whole("whole_pixels", self.whole_pixels, 1, optional=True)
        check_tiles(self.tile, self.overlap)
