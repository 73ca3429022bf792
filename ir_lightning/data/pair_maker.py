"""From a sample of a source to the pair of tensors that a network sees."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ir_lightning.arguments import check_choice
from ir_lightning.data.samples import Image, Sample

Composition = Callable[..., Tensor]  # (clean, depth, seed=...): (B, 3, H, W) in [0, 1] to the same

Compositions = Composition | Mapping[str, Composition | None] | None  # or one by data set

Pair = dict[str, Any]
"""``name``; ``degraded`` and ``clean``: (3, H, W), float32 in [0, 1], steps of 1/255; ``scene``."""


class PairMaker:
    """Makes the pair that a network sees out of a sample.

    Raises:
        UsageError: ``input`` is neither ``degraded`` (restoration) nor ``clean`` (reconstruction).
    """

    def __init__(self, composition: Compositions, input: str) -> None:
        self.composition = composition
        self.input = check_choice("input", input, ("degraded", "clean"))

    def __call__(self, sample: Sample, seed: int) -> Pair:
        clean = to_tensor(sample.clean)
        degraded = clean if self.input == "clean" else self._degraded(sample, clean, seed)
        return {"name": sample.name, "degraded": degraded, "clean": clean}

    def _degraded(self, sample: Sample, clean: Tensor, seed: int) -> Tensor:
        if sample.degraded is not None:
            return to_tensor(sample.degraded)
        composition = self.composition
        if isinstance(composition, Mapping):
            composition = composition.get(sample.name.partition("/")[0])
        if composition is None:
            raise ValueError("A source of clean images needs a composition model to degrade them.")
        depth = None if sample.depth is None else torch.tensor(sample.depth)[None, None]
        degraded = composition(clean[None], depth, seed=seed)[0]
        # Stored in 8 bits, as a photograph of the degraded scene would be.
        return degraded.mul(255).round().div(255)


def to_tensor(image: Image) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W) float32 in [0, 1]."""
    # In numpy: for one crop, torch would start all its threads.
    planes = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32)
    return torch.from_numpy(planes / np.float32(255))


def to_pixels(image: Tensor) -> Image:
    """(3, H, W) in about [0, 1] to (H, W, 3) uint8, rounded as the scoring protocols round."""
    return np.asarray(image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu())


def centre(image: Tensor, side: int) -> Tensor:
    """(3, H, W) to the (3, side, side) in its middle, or what there is of it."""
    top, left = (max(0, length - side) // 2 for length in image.shape[-2:])
    return image[:, top : top + side, left : left + side]
