"""The data of one run: what it trains on, is chosen by, and is judged by."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from ir_lightning.arguments import check_choice, check_whole
from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.cache.store import from_store
from ir_lightning.data.combining import large_enough
from ir_lightning.data.dataset import (
    EvaluationOrder,
    EvaluationPairs,
    TrainingOrder,
    TrainingPairs,
    quiet_worker,
)
from ir_lightning.data.pair_maker import Compositions, Pair, PairMaker
from ir_lightning.data.samples import Source

WINDOW = 11  # pixels of SSIM's window: a smaller image has no score


class RestorationData:
    """Training crops by iteration, whole images for validation and test.

    One pass over the training loader is the whole run, in the order of
    :class:`~ir_lightning.data.dataset.TrainingOrder`. Free of lightning, so that its arguments are
    judged before that is imported.

    Args:
        train, validation, test: sources of samples.
        composition: degradation model for sources of clean scenes; None for real pairs; by data set
            where samples are called ``<data set>/<name>``.
        input: ``degraded`` (restoration) or ``clean`` (reconstruction).
        augment: crops and flips for training.
        seed: the run's seed.
        iterations: the budget.
        batch: crops per iteration, of all processes together.
        validation_images, test_images: how many images are scored; None means all.
        evaluation_side: they are cut to so many pixels around their centres; None: whole images.
        small_images: of training images below the crop: ``skip`` leaves them out, ``pad`` pads
            them by reflection, ``refuse`` says that the preflight has seen none.
        store: ``auto``, ``off`` or a folder: whether decoded images are read from a store.
        stores: the folder of stores that ``auto`` looks into. The samples are the same either way.
        workers: data-loading processes. The samples do not depend on their number.

    Raises:
        UsageError: a number or a choice is none of those that are possible.
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
    ) -> None:
        self.seed = check_whole("seed", seed, 0, 2**32 - 1)
        self.iterations = check_whole("iterations", iterations, 1)
        self.batch = check_whole("batch", batch, 1)
        self.workers = check_whole("workers", workers, 0)
        check_whole("validation_images", validation_images, 1, optional=True)
        check_whole("test_images", test_images, 1, optional=True)
        check_whole("evaluation_side", evaluation_side, WINDOW, optional=True)
        check_choice("small_images", small_images, ("refuse", "pad", "skip"))
        train, validation, test = (
            from_store(source, store, stores, key)
            for key, source in (("train", train), ("validation", validation), ("test", test))
        )
        if small_images == "skip":
            train = large_enough(train, augment.crop)
        make = PairMaker(composition, input)
        self.training_pairs = TrainingPairs(train, make, augment, seed)
        self.validation_pairs = EvaluationPairs(
            validation, make, validation_images, evaluation_side
        )
        self.test_pairs = EvaluationPairs(test, make, test_images, evaluation_side)
        self.start = 0  # a resumed run sets the iteration that it continues from

    def train_dataloader(self, rank: int = 0, world: int = 1) -> DataLoader[Pair]:
        """The share of process ``rank`` of ``world`` in what is left of the budget."""
        images = len(self.training_pairs.source)
        budget = (self.start, self.iterations)
        order = TrainingOrder(images, self.seed, self.batch, *budget, rank, world)
        return self._loader(self.training_pairs, order, self.batch // world)

    def val_dataloader(self, rank: int = 0, world: int = 1) -> DataLoader[Pair]:
        """The share of process ``rank`` of ``world`` in the validation images."""
        pairs = self.validation_pairs
        return self._loader(pairs, EvaluationOrder(len(pairs), rank, world), 1)

    def test_dataloader(self, rank: int = 0, world: int = 1) -> DataLoader[Pair]:
        """The share of process ``rank`` of ``world`` in the test images."""
        pairs = self.test_pairs
        return self._loader(pairs, EvaluationOrder(len(pairs), rank, world), 1)

    def _loader(self, dataset: Any, sampler: Any, batch_size: int) -> DataLoader[Pair]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=quiet_worker,
            # Its own: torch's would be moved on by every validation, and dropout with it.
            generator=torch.Generator(),
        )
