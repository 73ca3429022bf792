"""How a trained system is evaluated, whichever networks it trains."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Evaluation:
    """Everything about validation and test.

    Args:
        protocols: names of the scoring protocols; validation and model choice use the first.
        weights: which ones are tested: ``best`` (of the validations) or ``last``.
        whole_pixels: larger images are restored in overlapping tiles, which bounds the memory;
            None restores every image whole.
        tile, overlap: their largest side and what neighbours share, in pixels.
    """

    protocols: list[str]
    weights: str = "best"
    whole_pixels: int | None = None
    tile: int = 1024
    overlap: int = 128
