"""Physical parameters: a number for all images, or a range from which each image draws."""

import math
from collections.abc import Sequence
from typing import Any

from ir_lightning.errors import UsageError

Range = float | Sequence[float]
"""A fixed number, or [low, high]."""


def bounds(value: Range) -> tuple[float, float]:
    """Lowest and highest value of a parameter."""
    if isinstance(value, int | float):
        return float(value), float(value)
    low, high = value
    return float(low), float(high)


def settle(model: Any, **limits: tuple[float, float]) -> None:
    """Check the named parameters of a frozen dataclass and store them as plain numbers.

    Args:
        model: the object that is being constructed.
        limits: for each parameter the smallest and largest legal value.

    Raises:
        UsageError: a parameter is neither a number nor [low, high], or is outside its limits.
    """
    for name, (smallest, largest) in limits.items():
        value = getattr(model, name)
        try:
            low, high = bounds(value)
        except (TypeError, ValueError):
            low, high = math.nan, math.nan
        if not smallest <= low <= high <= largest:
            raise UsageError(
                f"{type(model).__name__}: {name} = {value} is not possible; give a number or "
                f"[low, high] between {smallest:g} and {largest:g}."
            )
        object.__setattr__(model, name, low if low == high else (low, high))
