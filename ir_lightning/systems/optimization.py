"""How a system is trained, whichever networks it trains."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer

from ir_lightning.arguments import check_number, check_whole


@dataclass(frozen=True)
class Optimization:
    """Everything about training that is neither a network nor a loss.

    Args:
        optimizer: builds an optimizer from parameters.
        schedule: factor on the learning rate as a function of progress in [0, 1).
        iterations: the budget, in batches.
        log_every: iterations between two rows of the training curve.
        gradient_clip: largest gradient norm of each network, or None.

    Raises:
        UsageError: a number is out of range.
    """

    optimizer: Callable[[Iterable[Tensor]], Optimizer]
    schedule: Callable[[float], float]
    iterations: int
    log_every: int
    gradient_clip: float | None = None

    def __post_init__(self) -> None:
        check_whole("iterations", self.iterations, 1)
        check_whole("log_every", self.log_every, 1)
        check_number("gradient_clip", self.gradient_clip, 0, optional=True)


class ConstantThenLinear:
    """pix2pix's schedule: the full rate for a share ``constant`` of the run, then linearly to 0.

    Raises:
        UsageError: ``constant`` is outside [0, 1].
    """

    def __init__(self, constant: float = 0.5) -> None:
        self.constant = check_number("constant", constant, 0, 1)

    def __call__(self, progress: float) -> float:
        """Factor on the learning rate at ``progress`` = iteration / iterations, in [0, 1)."""
        if progress < self.constant:
            return 1.0
        return (1.0 - progress) / (1.0 - self.constant)
