"""Sizes that networks can carry, known without building them (and without torch)."""

DEPTHS = range(1, 9)
"""Depths that a generator can have: numbers of down-and-up-sampling layers."""


def smallest_crop(depth: int) -> int:
    """Side in pixels of the smallest image that ``depth`` halvings leave something of: 2^depth.

    A generator pads smaller ones, but then trains on padding.
    """
    return int(2**depth)
