"""How a system is trained and scored, whichever networks it trains."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer


@dataclass(frozen=True)
class Recipe:
    """Everything about training that is neither a network nor a loss.

    Args:
        optimizer: builds an optimizer from parameters.
        schedule: factor on the learning rate as a function of progress in [0, 1).
        iterations: the budget, in batches.
        log_every: iterations between two rows of the training curve.
        gradient_clip: largest gradient norm of each network, or None.
        protocols: names of the scoring protocols; validation and model choice use the first.
        whole_pixels: larger evaluation images are restored in overlapping tiles, which bounds the
            memory; None restores every image whole.
        tile, overlap: their largest side and what neighbours share, in pixels.
        won_accuracy, won_iterations: the discriminator has won when it tells more than this share
            of the patches apart for so many iterations on end.
    """

    optimizer: Callable[[Iterable[Tensor]], Optimizer]
    schedule: Callable[[float], float]
    iterations: int
    log_every: int
    gradient_clip: float | None
    protocols: list[str]
    whole_pixels: int | None = None
    tile: int = 1024
    overlap: int = 128
    won_accuracy: float = 0.95
    won_iterations: int = 500
