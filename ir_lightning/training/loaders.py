"""The data of a run as Lightning asks for them, and how long a training waits for them."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from ir_lightning.data.module import RestorationData
from ir_lightning.data.pair_maker import Pair, Pairs
from ir_lightning.training.callbacks.speed import on_gpu

DEGRADED_IN = ("32-true", "bf16-mixed", "16-mixed")
"""Precisions whose images are float32, as degradations compute."""


class Loaders(pl.LightningDataModule):
    """The loaders of this process: its share of the run's data.

    Attributes:
        degrade_on_gpu: training images are degraded there, where the training is on a GPU.
        waited: seconds for which the training has waited for its batches.
    """

    def __init__(self, data: RestorationData, degrade_on_gpu: bool = False) -> None:
        super().__init__()
        self.data, self.degrade_on_gpu = data, degrade_on_gpu
        self.validation_pairs, self.test_pairs = data.validation_pairs, data.test_pairs
        self.waited = 0.0

    def train_dataloader(self) -> Iterable[Pairs]:
        self.data.training_pairs.complete = not (self.degrade_on_gpu and self._can_degrade())
        return Timed(self, self.data.train_dataloader(*self._process()))

    def val_dataloader(self) -> DataLoader[Pair]:
        return self.data.val_dataloader(*self._process())

    def test_dataloader(self) -> DataLoader[Pair]:
        return self.data.test_dataloader(*self._process())

    def on_after_batch_transfer(self, batch: Pairs, dataloader_idx: int) -> Pairs:
        return self.data.complete(batch)

    def _process(self) -> tuple[int, int]:
        """Rank of this process, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _can_degrade(self) -> bool:
        trainer = self.trainer
        return trainer is not None and on_gpu(trainer) and trainer.precision in DEGRADED_IN


class Timed:
    """A loader whose batches are waited for; the seconds add up in ``loaders.waited``."""

    def __init__(self, loaders: Loaders, loader: DataLoader[Pair]) -> None:
        self.loaders, self.loader = loaders, loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.loader)
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            self.loaders.waited += time.perf_counter() - began
            if batch is None:
                return
            yield batch


class DataWait(pl.Callback):
    """Adds to the curve ``data_wait``: the share of the time since the last row, in [0, 1], in
    which the training waited for data. On a GPU, which works on meanwhile, it is an upper bound.
    """

    def __init__(self, loaders: Loaders) -> None:
        self.loaders = loaders
        self.since, self.before = 0.0, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if pl_module.iteration % pl_module.optimization.log_every == 0:
            share = (self.loaders.waited - self.before) / (time.perf_counter() - self.since)
            for logger in trainer.loggers:
                logger.log_metrics({"data_wait": round(share, 4)}, step=pl_module.iteration)
            self._begin()

    def _begin(self) -> None:
        self.since, self.before = time.perf_counter(), self.loaders.waited
