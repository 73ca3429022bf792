"""From samples of a source to the tensors of a batch."""

import signal
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.order import Draw
from ir_lightning.data.source import Depth, Image, Sample, Source
from ir_lightning.signals import SIGNALS

Composition = Callable[..., Tensor]
"""``composition(clean, depth, seed=...)``: (B, 3, H, W) in [0, 1] to the same."""

Compositions = Composition | Mapping[str, Composition | None] | None
"""None for real pairs; one by data set where samples are called ``<data set>/<name>``."""

Pair = dict[str, Any]
"""``name``: str; ``degraded`` and ``clean``: (3, H, W), float32 in [0, 1], steps of 1/255."""

EVALUATION_SEED = 2212  # never the run's seed: every run is scored on the same degraded images


class PairMaker:
    """Makes the pair that a network sees out of a sample.

    Args:
        composition: degrades samples that are only clean.
        input: what the network is given: ``degraded`` (restoration) or ``clean`` (reconstruction).
    """

    def __init__(self, composition: Compositions, input: str) -> None:
        self.composition = composition
        self.input = input

    def __call__(self, sample: Sample, seed: int) -> Pair:
        clean = to_tensor(sample.clean)
        if self.input == "clean":
            degraded = clean
        elif sample.degraded is not None:
            degraded = to_tensor(sample.degraded)
        else:
            degraded = self._degrade(sample.name, clean, sample.depth, seed)
        return {"name": sample.name, "degraded": degraded, "clean": clean}

    def _degrade(self, name: str, clean: Tensor, depth: Depth | None, seed: int) -> Tensor:
        composition = self.composition
        if isinstance(composition, Mapping):
            composition = composition.get(name.partition("/")[0])
        if composition is None:
            raise ValueError("A source of clean images needs a composition model to degrade them.")
        distance = None if depth is None else torch.tensor(depth)[None, None]
        degraded = composition(clean[None], distance, seed=seed)[0]
        # Stored in 8 bits, as a photograph of the degraded scene would be.
        return degraded.mul(255).round().div(255)


def to_tensor(image: Image) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W) float32 in [0, 1]."""
    # In numpy: for one crop, torch would start all its threads.
    planes = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32)
    return torch.from_numpy(planes / np.float32(255))


def to_pixels(image: Tensor) -> Image:
    """(3, H, W) in about [0, 1] to (H, W, 3) uint8, rounded as the scoring protocols round."""
    levels = image.clamp(0, 1).mul(255).round().byte()
    return np.asarray(levels.permute(1, 2, 0).cpu().numpy())


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
    """Images with fixed degradations.

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
        if self.side is None:
            return pair
        cut = {kind: centre(pair[kind], self.side) for kind in ("degraded", "clean")}
        return pair | cut


def centre(image: Tensor, side: int) -> Tensor:
    """(3, H, W) to the (3, side, side) in its middle, or what there is of it."""
    top, left = (max(0, length - side) // 2 for length in image.shape[-2:])
    return image[:, top : top + side, left : left + side]


def quiet_worker(_: int) -> None:
    """Keep a data-loading process on its own core, and leave signals to the training.

    A scheduler signals all processes of a job; a training whose workers die cannot save any more.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
