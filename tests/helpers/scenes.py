"""A small clean image and its depth, for the composition models."""

import torch
from torch import Tensor


def photograph(batch: int = 2, height: int = 37, width: int = 50) -> Tensor:
    """Something bright and dark, coloured, away from 0 and 1."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(batch, 3, 4, 5, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return 0.1 + 0.6 * image


def slope(batch: int = 2, height: int = 37, width: int = 50) -> Tensor:
    """Near at the bottom, far at the top."""
    return torch.linspace(1, 0, height).view(1, 1, -1, 1).expand(batch, 1, height, width)
