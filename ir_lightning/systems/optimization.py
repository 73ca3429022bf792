"""How a system is trained, whichever networks it trains."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer


@dataclass(frozen=True)
class Optimization:
    """Everything about training that is neither a network nor a loss.

    Args:
        optimizer: builds an optimizer from parameters.
        schedule: factor on the learning rate as a function of progress in [0, 1).
        iterations: the budget, in batches.
        log_every: iterations between two rows of the training curve.
        gradient_clip: largest gradient norm of each network, or None.
    """

    optimizer: Callable[[Iterable[Tensor]], Optimizer]
    schedule: Callable[[float], float]
    iterations: int
    log_every: int
    gradient_clip: float | None = None


class ConstantThenLinear:
    """pix2pix's schedule: the full rate, then a straight line down to zero.

    A pure function of progress, so a checkpoint has nothing to store.

    Args:
        constant: share of the run at the full rate, in [0, 1].

    Raises:
        ValueError: if ``constant`` is outside [0, 1].
    """

    def __init__(self, constant: float = 0.5) -> None:
        if not 0.0 <= constant <= 1.0:
            raise ValueError(f"schedule.constant={constant} is a share: it must lie in [0, 1].")
        self.constant = constant

    def __call__(self, progress: float) -> float:
        """Factor on the learning rate at ``progress`` = iteration / iterations, in [0, 1)."""
        if progress < self.constant:
            return 1.0
        return (1.0 - progress) / (1.0 - self.constant)
