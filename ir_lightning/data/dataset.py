"""From samples of a source to the tensors of a batch, and which of them a process sees when."""

import signal
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.pair_maker import Pair, PairMaker, centre
from ir_lightning.data.samples import Source
from ir_lightning.errors import STOP_SIGNALS

EVALUATION_SEED = 2212  # never the run's seed: every run is scored on the same degraded images

Draw = tuple[int, int]
"""(epoch, index): which image, and the how-many-th time it is drawn."""


class TrainingPairs(Dataset[Pair]):
    """Random crops; item (epoch, index) is a pure function of (seed, epoch, index)."""

    def __init__(self, source: Source, make: PairMaker, augment: PairedAugment, seed: int) -> None:
        self.source = source
        self.make = make
        self.augment = augment
        self.seed = seed

    def __getitem__(self, draw: Draw) -> Pair:
        epoch, index = draw
        # The order of an epoch is seeded with two numbers, its samples with three: never the same.
        seeds = np.random.default_rng([self.seed, epoch, index]).integers(2**31, size=2).tolist()
        return self.make(self.augment(self.source[index], seeds[0]), seeds[1])


class EvaluationPairs(Dataset[Pair]):
    """Images with fixed degradations, each with its ``scene``.

    Args:
        source, make: of samples, and of pairs.
        limit: only the first so many; None: all.
        side: only the ``side`` x ``side`` pixels around the centre; None: whole images.
    """

    def __init__(
        self, source: Source, make: PairMaker, limit: int | None = None, side: int | None = None
    ) -> None:
        self.source = source
        self.make = make
        self.limit = limit
        self.side = side

    def __len__(self) -> int:
        return len(self.source) if self.limit is None else min(self.limit, len(self.source))

    def __getitem__(self, index: int) -> Pair:
        pair = self.make(self.source[index], EVALUATION_SEED + index)
        pair["scene"] = self.source.scene(index)
        if self.side is not None:
            pair |= {kind: centre(pair[kind], self.side) for kind in ("degraded", "clean")}
        return pair


class TrainingOrder(Sampler[Draw]):
    """An endless sequence of epochs, cut to the budget.

    Position p of the sequence is image ``permutation(seed, epoch)[p % images]`` of
    ``epoch = p // images``. A resumed run enters it at its own iteration, and several processes
    share each iteration's positions: neither changes anything.

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

    def __iter__(self) -> Iterator[Draw]:
        epoch, order = -1, np.arange(0)
        for position in (i * self.batch + place for i in self.iterations for place in self.share):
            if position // self.images != epoch:
                epoch = position // self.images
                order = np.random.default_rng([self.seed, epoch]).permutation(self.images)
            yield epoch, int(order[position % self.images])


class EvaluationOrder(Sampler[int]):
    """Every ``world``-th image from ``rank`` on, in order.

    Where their number does not divide, the last processes evaluate one of the first images again,
    so that all take the same number of steps; its score is counted once, by name.
    """

    def __init__(self, images: int, rank: int = 0, world: int = 1) -> None:
        places = range(rank, -(-images // world) * world, world)
        self.indices = [place % images for place in places]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


def quiet_worker(_: int) -> None:
    """Keep a data-loading process on its own core, and leave signals to the training.

    A scheduler signals all processes of a job; a training whose workers die cannot save any more.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
