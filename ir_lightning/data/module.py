"""The data of one run, from samples to batches: for training, validation and test."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ir_lightning.arguments import check_choice, check_whole
from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.cache.store import from_store
from ir_lightning.data.combining import large_enough, scored_images
from ir_lightning.data.pair_maker import Compositions, Pair, PairMaker, Pairs, centre
from ir_lightning.data.samples import Sample, Source
from ir_lightning.errors import STOP_SIGNALS

WINDOW = 11  # pixels of SSIM's window: a smaller image has no score
EVALUATION_SEED = 2212  # never the run's seed: every run is scored on the same degraded images

Draw = tuple[int, int]  # (epoch, index): which image, and the how-many-th time it is drawn


@dataclass(eq=False, repr=False)
class TrainingPairs(Dataset[Pair]):
    """Random crops; item (epoch, index) is a pure function of (seed, epoch, index).

    A loader that asks for several gets them as one batch, degraded together.
    """

    source: Source
    make: PairMaker
    augment: PairedAugment
    seed: int
    complete: bool = True
    """False: synthetic degradations are left to whoever has the batch on its device."""

    def __getitem__(self, draw: Draw) -> Pair:
        crop, seed = self._crop(draw)
        return self.make(crop, seed)

    def __getitems__(self, draws: Sequence[Draw]) -> Pairs:
        crops, seeds = zip(*map(self._crop, draws), strict=True)
        return (self.make.batch if self.complete else self.make.begin)(crops, seeds)

    def _crop(self, draw: Draw) -> tuple[Sample, int]:
        """A crop, and the seed of its degradation."""
        epoch, index = draw
        # The order of an epoch is seeded with two numbers, its samples with three: never the same.
        seeds = np.random.default_rng([self.seed, epoch, index]).integers(2**31, size=2).tolist()
        return self.augment(self.source[index], seeds[0]), seeds[1]


@dataclass(eq=False, repr=False)
class EvaluationPairs(Dataset[Pair]):
    """At most ``limit`` images with fixed degradations, each with its ``scene``.

    Which ones: :func:`~ir_lightning.data.combining.scored_images`. An image is degraded alike
    whichever others are taken. With a ``side``, only the ``side`` x ``side`` pixels around the
    centre.
    """

    source: Source
    make: PairMaker
    limit: int | None = None
    side: int | None = None
    order: str | None = None

    @cached_property
    def places(self) -> Sequence[int]:
        """Which images of the source."""
        return scored_images(self.source, self.limit, self.order)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Pair:
        place = self.places[index]
        pair = self.make(self.source[place], EVALUATION_SEED + place)
        pair["scene"] = self.source.scene(place)
        if self.side is not None:
            pair |= {kind: centre(pair[kind], self.side) for kind in ("degraded", "clean")}
        return pair


class TrainingOrder(Sampler[Draw]):
    """An endless sequence of epochs, cut to the budget.

    Position p of the sequence is image ``permutation(seed, epoch)[p % images]`` of
    ``epoch = p // images``. A resumed run enters it at its own iteration, and several processes
    share each iteration's positions: neither changes anything.

    Iterations ``start`` to ``stop`` are delivered, of ``batch`` images in all processes together.
    This process is ``rank`` of ``world``, which divides ``batch``.
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


def evaluation_order(images: int, rank: int, world: int) -> list[int]:
    """Every ``world``-th image from ``rank`` on, in order.

    The last processes may evaluate one of the first images, too, so that all take the same number
    of steps; its score is counted once, by name.
    """
    return [place % images for place in range(rank, -(-images // world) * world, world)]


def quiet_worker(_: int) -> None:
    """Keep a data-loading process on its own core, and leave a scheduler's signals to training."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def as_it_is(batch: Pairs) -> Pairs:
    """What the training pairs deliver is a batch already."""
    return batch


class RestorationData:
    """Training crops by iteration, whole images for validation and test; free of lightning.

    One pass over the training loader is the whole run.

    Args:
        composition: degradation model for clean scenes, or one by data set; None for real pairs.
        input: ``degraded`` (restoration) or ``clean`` (reconstruction).
        batch: crops per iteration, of all processes together.
        validation_images, test_images: how many images are scored; None means all.
        evaluation_order: which ones, where not all are: None, the first; ``scenes``, images of as
            many scenes as can be.
        evaluation_side: they are cut to so many pixels around their centres; None: whole images.
        small_images: of training images below the crop: ``skip`` leaves them out, ``pad`` pads
            them by reflection, ``refuse`` says that the preflight has seen none.
        store, stores: as for :func:`~ir_lightning.data.cache.store.from_store`.
        workers: data-loading processes. The samples do not depend on their number.
    """

    def __init__(
        self,
        train: Source,
        validation: Source,
        test: Source,
        composition: Compositions,
        input: str,
        augment: PairedAugment,
        seed: int,
        iterations: int,
        batch: int,
        validation_images: int | None,
        test_images: int | None,
        evaluation_side: int | None = None,
        small_images: str = "pad",
        store: str | bool = "off",
        stores: str = "stores",
        workers: int = 0,
        evaluation_order: str | None = None,
    ) -> None:
        self.seed = check_whole("seed", seed, 0, 2**32 - 1)
        self.iterations = check_whole("iterations", iterations, 1)
        self.batch = check_whole("batch", batch, 1)
        self.workers = check_whole("workers", workers, 0)
        check_whole("validation_images", validation_images, 1, optional=True)
        check_whole("test_images", test_images, 1, optional=True)
        check_whole("evaluation_side", evaluation_side, WINDOW, optional=True)
        check_choice("small_images", small_images, ("refuse", "pad", "skip"))
        if evaluation_order is not None:
            check_choice("evaluation_order", evaluation_order, ("scenes",))
        train = from_store(train, store, stores, "train")
        validation = from_store(validation, store, stores, "validation")
        test = from_store(test, store, stores, "test")
        if small_images == "skip":
            train = large_enough(train, augment.crop)
        make = PairMaker(composition, input)
        self.training_pairs = TrainingPairs(train, make, augment, seed)
        how = (evaluation_side, evaluation_order)
        self.validation_pairs = EvaluationPairs(validation, make, validation_images, *how)
        self.test_pairs = EvaluationPairs(test, make, test_images, *how)
        self.start = 0  # a resumed run sets the iteration that it continues from

    def train_dataloader(self, rank: int = 0, world: int = 1) -> DataLoader[Pair]:
        """The share of process ``rank`` of ``world`` in what is left of the budget."""
        run = (self.seed, self.batch, self.start, self.iterations)
        order = TrainingOrder(len(self.training_pairs.source), *run, rank, world)
        return self._loader(self.training_pairs, order, self.batch // world, collate_fn=as_it_is)

    def val_dataloader(self, rank: int = 0, world: int = 1) -> DataLoader[Pair]:
        pairs = self.validation_pairs
        return self._loader(pairs, evaluation_order(len(pairs), rank, world), 1)

    def test_dataloader(self, rank: int = 0, world: int = 1) -> DataLoader[Pair]:
        pairs = self.test_pairs
        return self._loader(pairs, evaluation_order(len(pairs), rank, world), 1)

    def complete(self, begun: Pairs) -> Pairs:
        """A batch with its synthetic degradations, which may have been left to its device."""
        return self.training_pairs.make.complete(begun)

    def _loader(
        self, dataset: Any, sampler: Any, batch_size: int, **options: Any
    ) -> DataLoader[Pair]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=quiet_worker,
            # Its own: torch's would be moved on by every validation, and dropout with it.
            generator=torch.Generator(),
            **options,
        )
