"""A batch of clean images, each with a depth and a random generator of its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ir_lightning.data.degradations.parameters import Interval


class Scene:
    """What a composition model works on.

    All random numbers are drawn on the CPU in float32 and then moved, so every device and type
    gets the same ones.

    Args:
        clean: (B, C, H, W) in [0, 1].
        depth: (B, 1, H, W), relative depth in [0, 1].
        seed: a number s, for which image b draws from (s, b), or one number for each image.

    Raises:
        ValueError: not one seed for each image, or a negative one.
    """

    def __init__(self, clean: Tensor, depth: Tensor, seed: int | Sequence[int]) -> None:
        batch = clean.shape[0]
        keys: Any = [(seed, b) for b in range(batch)] if np.ndim(seed) == 0 else seed
        if len(keys) != batch:
            raise ValueError(f"{len(keys)} seeds for a batch of {batch} images; give one for each")
        self.clean = clean
        self.depth = depth
        self.generators = [_generator(key) for key in keys]

    def numbers(self, interval: Interval) -> Tensor:
        """(B,), float32 on the CPU: for each image one number of the interval."""
        low, high = interval
        return low + (high - low) * torch.cat([torch.rand(1, generator=g) for g in self.generators])

    def uniform(self, interval: Interval) -> Tensor:
        """(B, 1, 1, 1): the same, ready to be multiplied with the images."""
        return self.place(self.numbers(interval)).view(-1, 1, 1, 1)

    def choice(self, rows: Sequence[Sequence[float]]) -> Tensor:
        """(K, B, 1, 1, 1): for each image one of the rows of K numbers, all equally likely."""
        picked = [rows[int(torch.randint(len(rows), (1,), generator=g))] for g in self.generators]
        return self.place(torch.tensor(picked)).T.reshape(-1, len(picked), 1, 1, 1)

    def normal(self, channels: int, height: int, width: int) -> Tensor:
        """(B, channels, height, width): white Gaussian noise of unit variance."""
        shape = (channels, height, width)
        return self.place(torch.stack([torch.randn(shape, generator=g) for g in self.generators]))

    def place(self, numbers: Tensor) -> Tensor:
        """The numbers in the images' type, on the images' device."""
        return numbers.to(self.clean)


def _generator(key: int | tuple[int, int]) -> torch.Generator:
    # SeedSequence mixes all the numbers of the key; torch's generator keeps 32 bits of a seed.
    state = np.random.SeedSequence(key).generate_state(1)[0]
    return torch.Generator().manual_seed(int(state))
