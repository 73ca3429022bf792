"""Which images a process sees, and when: pure functions of (seed, epoch), rank and world."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

Draw = tuple[int, int]
"""(epoch, index): which image, and the how-many-th time it is drawn."""


class TrainingOrder(Sampler[Draw]):
    """An endless sequence of epochs, cut to the budget.

    Position p of the sequence is image ``permutation(seed, epoch)[p % images]`` of
    ``epoch = p // images``. A resumed run enters the same sequence at its own iteration, so an
    interruption changes nothing. Several processes share each iteration's positions, so their
    number changes nothing either.

    Args:
        images: number of training images.
        seed: the run's seed.
        batch: images per iteration, of all processes together.
        start: first iteration to deliver.
        stop: the iteration to stop before.
        rank, world: which process this is, of how many; ``world`` divides ``batch``.
    """

    def __init__(
        self,
        images: int,
        seed: int,
        batch: int,
        start: int,
        stop: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.images = images
        self.seed = seed
        self.batch = batch
        self.iterations = range(start, stop)
        self.share = range(rank * batch // world, (rank + 1) * batch // world)

    def __len__(self) -> int:
        """Of the whole run, as Lightning counts: a resumed one delivers what is left of it."""
        return self.iterations.stop * len(self.share)

    def _positions(self) -> Iterator[int]:
        for iteration in self.iterations:
            yield from (iteration * self.batch + place for place in self.share)

    def __iter__(self) -> Iterator[Draw]:
        epoch, order = -1, np.arange(0)
        for position in self._positions():
            if position // self.images != epoch:
                epoch = position // self.images
                order = np.random.default_rng([self.seed, epoch]).permutation(self.images)
            yield epoch, int(order[position % self.images])


class EvaluationOrder(Sampler[int]):
    """Every ``world``-th image from ``rank`` on, in order.

    Where their number does not divide, the last processes evaluate one of the first images again,
    so that all take the same number of steps; its score is counted once, by name.

    Args:
        images: number of images that are evaluated.
        rank, world: which process this is, of how many.
    """

    def __init__(self, images: int, rank: int = 0, world: int = 1) -> None:
        places = range(rank, -(-images // world) * world, world)
        self.indices = [place % images for place in places]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)
