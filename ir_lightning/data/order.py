"""The order in which a run sees its images, as a pure function of (seed, epoch)."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

Draw = tuple[int, int]
"""(epoch, index): which image, and the how-many-th time it is drawn."""


class TrainingOrder(Sampler[Draw]):
    """An endless sequence of epochs, cut to the budget.

    Position p of the sequence is image ``permutation(seed, epoch)[p % images]`` of
    ``epoch = p // images``. A resumed run enters the same sequence at its own iteration, so an
    interruption changes nothing.

    Args:
        images: number of training images.
        seed: the run's seed.
        batch: images per iteration.
        start: first iteration to deliver.
        stop: the iteration to stop before.
    """

    def __init__(self, images: int, seed: int, batch: int, start: int, stop: int) -> None:
        self.images = images
        self.seed = seed
        self.positions = range(start * batch, stop * batch)

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Draw]:
        epoch, order = -1, np.arange(0)
        for position in self.positions:
            if position // self.images != epoch:
                epoch = position // self.images
                order = np.random.default_rng([self.seed, epoch]).permutation(self.images)
            yield epoch, int(order[position % self.images])
