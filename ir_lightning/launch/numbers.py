"""The numbers that a configuration may hold, checked before anything is built from them."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ir_lightning.errors import UsageError
from ir_lightning.networks.shapes import DEPTHS


@dataclass(frozen=True)
class Limits:
    """A number from ``low`` to ``high`` (None: without end)."""

    low: float
    high: float | None = None
    whole: bool = True
    optional: bool = False

    def admit(self, value: Any) -> bool:
        """Whether ``value`` is such a number, or null where that is allowed."""
        if value is None:
            return self.optional
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return bool(self.low <= value and (self.high is None or value <= self.high))

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        end = f"of at least {self.low}" if self.high is None else f"from {self.low} to {self.high}"
        return f"{kind} {end}{', or null' if self.optional else ''}"


# In this order: a crop may be derived from the depth.
NUMBERS = {
    "depth": Limits(DEPTHS[0], DEPTHS[-1]),
    "width": Limits(1),
    "seed": Limits(0, 2**32 - 1),
    "budget.crop": Limits(1),
    "budget.batch": Limits(1),
    "budget.iterations": Limits(1, optional=True),
    "budget.epochs": Limits(0, whole=False, optional=True),
    "budget.checkpoint_every": Limits(1),
    "budget.log_every": Limits(1),
    "budget.evaluation_side": Limits(11, optional=True),  # SSIM's window
    "budget.validation_images": Limits(1, optional=True),
    "budget.test_images": Limits(1, optional=True),
    "checkpoint.minutes": Limits(0, whole=False),
    "data.workers": Limits(0),
    "discriminator.layers": Limits(2),
    "discriminator.width": Limits(1),
    "enhancer.layers": Limits(0),
    "enhancer.growth": Limits(1),
    "enhancer.width": Limits(1),
    "enhancer.steps": Limits(1),
    "enhancer.recursions": Limits(1),
    "enhancer.reduction": Limits(1),
    "evaluation.whole_pixels": Limits(1, optional=True),
    "evaluation.tile": Limits(1),
    "evaluation.overlap": Limits(0),
    "optimizer.lr": Limits(0, whole=False),
    "optimization.gradient_clip": Limits(0, whole=False, optional=True),
    "system.saturated_accuracy": Limits(0, 1, whole=False),
    "system.saturated_iterations": Limits(1),
    "threads": Limits(1, optional=True),
}


def check_numbers(config: DictConfig) -> None:
    """Refuse a number of the wrong kind or size.

    Raises:
        UsageError: names the key, its value and what it may be.
    """
    missing = object()
    for key, limits in NUMBERS.items():
        value = OmegaConf.select(config, key, default=missing)
        # A part of one's own need not have every key, and an absent part has none.
        if value is not missing and not limits.admit(value):
            raise UsageError(f"{key}={value}: give {limits}.")
    tile, overlap = config.evaluation.tile, config.evaluation.overlap
    if overlap >= tile:
        raise UsageError(f"evaluation.overlap={overlap} must be less than evaluation.tile={tile}.")
