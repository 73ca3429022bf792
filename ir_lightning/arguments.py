"""Checks of what a constructor is given; a refusal begins with ``name=value: ``."""

import math
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from ir_lightning.errors import UsageError

T = TypeVar("T")


def check_whole(
    name: str, value: T, low: int, high: int | None = None, optional: bool = False
) -> T:
    """Refuse anything but a whole number from ``low`` to ``high``, and return that.

    Both limits are included; None is no limit. If ``optional``, ``value`` may be None.

    Raises:
        UsageError: names the argument, its value and the limits.

    >>> check_whole("depth", 9, 1, 8)
    Traceback (most recent call last):
    ir_lightning.errors.UsageError: depth=9: give a whole number from 1 to 8.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    return _check(name, value, whole, "a whole number", low, high, optional)


def check_number(
    name: str, value: T, low: float, high: float | None = None, optional: bool = False
) -> T:
    """Refuse anything but a finite number, in the manner of :func:`check_whole`."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return _check(name, value, number, "a number", low, high, optional)


def check_wholes(name: str, values: T, distinct: bool = False) -> T:
    """Refuse anything but a list of one or more (``distinct``) whole numbers from 1."""
    given = list(values) if isinstance(values, Sequence) else []
    whole = all(type(value) is int and value > 0 for value in given)
    if not (given and whole) or (distinct and len(set(given)) < len(given)):
        kind = "different whole numbers" if distinct else "whole numbers"
        raise UsageError(f"{name}={written(values)}: give a list of {kind} from 1.")
    return values


def check_choice(name: str, value: T, options: Collection[str]) -> T:
    """Refuse anything but one of the options with a UsageError, and return that."""
    if not (isinstance(value, str) and value in options):
        raise UsageError(f"{name}={written(value)}: choose {' or '.join(options)}.")
    return value


def written(value: Any) -> str:
    """A value as the command line has it."""
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _check(
    name: str, value: T, fits: bool, kind: str, low: float, high: float | None, optional: bool
) -> T:
    number: Any = value
    in_limits = fits and low <= number and (high is None or number <= high)
    if not in_limits and not (value is None and optional):
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        null = ", or null" if optional else ""
        raise UsageError(f"{name}={written(value)}: give {kind} {limits}{null}.")
    return value
