"""Physical parameters: one number, or a range from which each image draws."""

from collections.abc import Sequence

from ir_lightning.arguments import check_number, written
from ir_lightning.errors import UsageError

Range = float | Sequence[float]
"""A fixed number, or [low, high]."""

Interval = tuple[float, float]


def interval(name: str, value: Range, smallest: float, largest: float) -> Interval:
    """Lowest and highest value of a parameter that images may draw.

    Args:
        name: of the parameter, for the message.
        value: as the user gave it.
        smallest, largest: the legal values.

    Raises:
        UsageError: neither a number nor [low, high], or beyond the legal values.
    """
    try:
        low, high = (value, value) if isinstance(value, int | float) else value
        legal = smallest <= low <= high <= largest
    except (TypeError, ValueError):
        legal = False
    if not legal:
        raise UsageError(
            f"{name}={written(value)}: give a number, or a range [low, high], between "
            f"{smallest:g} and {largest:g}."
        )
    return float(low), float(high)


def fixed(name: str, value: float, smallest: float, largest: float) -> float:
    """A parameter that all images share.

    Raises:
        UsageError: not one number, or beyond the legal values.
    """
    return float(check_number(name, value, smallest, largest))
