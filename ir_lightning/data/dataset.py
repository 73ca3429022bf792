"""From samples of a source to the tensors of a batch."""

import signal

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.order import Draw
from ir_lightning.data.pair_maker import Pair, PairMaker, centre
from ir_lightning.data.samples import Source
from ir_lightning.errors import STOP_SIGNALS

EVALUATION_SEED = 2212  # never the run's seed: every run is scored on the same degraded images


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
        crop_seed, degradation_seed = np.random.default_rng([self.seed, epoch, index]).integers(
            2**31, size=2
        )
        sample = self.augment(self.source[index], int(crop_seed))
        return self.make(sample, int(degradation_seed))


class EvaluationPairs(Dataset[Pair]):
    """Images with fixed degradations, each with its ``scene``.

    Args:
        source: of the samples.
        make: degrades what is not degraded.
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
        if self.side is None:
            return pair
        cut = {kind: centre(pair[kind], self.side) for kind in ("degraded", "clean")}
        return pair | cut


def quiet_worker(_: int) -> None:
    """Keep a data-loading process on its own core, and leave signals to the training.

    A scheduler signals all processes of a job; a training whose workers die cannot save any more.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
