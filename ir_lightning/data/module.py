"""The data of one run: what it trains on, is chosen by, and is judged by."""

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.cache.store import from_store
from ir_lightning.data.combining import large_enough
from ir_lightning.data.dataset import EvaluationPairs, TrainingPairs, quiet_worker
from ir_lightning.data.order import EvaluationOrder, TrainingOrder
from ir_lightning.data.pair_maker import Compositions, Pair, PairMaker
from ir_lightning.data.samples import Source


class RestorationData(LightningDataModule):
    """Training crops by iteration, whole images for validation and test.

    One "epoch" of Lightning is the whole run: the budget is counted in iterations, and the order
    of the images is this package's own (:class:`~ir_lightning.data.order.TrainingOrder`).

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
        small_images: ``skip`` leaves out training images below the crop; they are padded otherwise.
        store: ``auto``, ``off`` or a folder: whether decoded images are read from a store.
        stores: the folder of stores that ``auto`` looks into. The samples are the same either way.
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
    ) -> None:
        super().__init__()
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
        self.seed = seed
        self.iterations = iterations
        self.batch = batch
        self.workers = workers
        self.start = 0  # a resumed run sets the iteration that it continues from

    def train_dataloader(self) -> DataLoader[Pair]:
        rank, world = self._processes()
        images = len(self.training_pairs.source)
        order = TrainingOrder(
            images, self.seed, self.batch, self.start, self.iterations, rank, world
        )
        return self._loader(self.training_pairs, order, self.batch // world)

    def val_dataloader(self) -> DataLoader[Pair]:
        return self._whole_images(self.validation_pairs)

    def test_dataloader(self) -> DataLoader[Pair]:
        return self._whole_images(self.test_pairs)

    def _whole_images(self, pairs: EvaluationPairs) -> DataLoader[Pair]:
        return self._loader(pairs, EvaluationOrder(len(pairs), *self._processes()), batch_size=1)

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

    def _processes(self) -> tuple[int, int]:
        """Rank of this process, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
