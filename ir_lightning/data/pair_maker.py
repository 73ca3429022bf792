"""From samples of a source to the pairs of tensors that a network sees."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ir_lightning.arguments import check_choice
from ir_lightning.data.samples import Image, Sample

Composition = Callable[..., Tensor]
"""(clean, depth, seed=[...]), a seed for each image: (B, 3, H, W) in [0, 1] to the same."""

Compositions = Composition | Mapping[str, Composition | None] | None  # or one by data set

Pair = dict[str, Any]
"""``name``; ``degraded`` and ``clean``: (3, H, W), float32 in [0, 1], steps of 1/255; ``scene``."""

Pairs = dict[str, Any]
"""``name``: B strings; ``degraded`` and ``clean``: (B, 3, H, W). Where they are not complete yet,
``to_do``: a list of what is to be degraded."""


class PairMaker:
    """Makes the pairs that a network sees out of samples.

    Raises:
        UsageError: ``input`` is neither ``degraded`` (restoration) nor ``clean`` (reconstruction).
    """

    def __init__(self, composition: Compositions, input: str) -> None:
        self.composition = composition
        self.input = check_choice("input", input, ("degraded", "clean"))

    def __call__(self, sample: Sample, seed: int) -> Pair:
        """The pair of one sample, a pure function of it and the seed of its degradation."""
        pair = self.batch([sample], [seed])
        return {key: values[0] for key, values in pair.items()}

    def batch(self, samples: Sequence[Sample], seeds: Sequence[int]) -> Pairs:
        """The same pairs of several samples of one size at once, which costs much less."""
        return self.complete(self.begin(samples, seeds))

    def begin(self, samples: Sequence[Sample], seeds: Sequence[int]) -> Pairs:
        """What is done on the CPU in any case: all but the synthetic degradations."""
        clean = torch.stack([to_tensor(sample.clean) for sample in samples])
        pairs = {"name": [sample.name for sample in samples], "clean": clean}
        if self.input == "clean":
            return {**pairs, "degraded": clean}
        degraded = torch.empty_like(clean)
        synthetic: dict[Any, list[int]] = defaultdict(list)  # by data set, and if there is depth
        for place, sample in enumerate(samples):
            if sample.degraded is not None:
                degraded[place] = to_tensor(sample.degraded)
            else:
                by_set = isinstance(self.composition, Mapping)
                dataset = sample.name.partition("/")[0] if by_set else None
                synthetic[dataset, sample.depth is not None].append(place)
        to_do = []
        for (dataset, with_depth), places in synthetic.items():
            depths = [d for place in places if (d := samples[place].depth) is not None]
            depth = torch.from_numpy(np.stack(depths))[:, None] if with_depth else None
            ours = [seeds[place] for place in places]
            to_do.append({"dataset": dataset, "places": places, "depth": depth, "seeds": ours})
        return {**pairs, "degraded": degraded, "to_do": to_do}

    def complete(self, begun: Pairs) -> Pairs:
        """Degrade what is left of a batch, on the device on which it is by now."""
        pairs = {kind: value for kind, value in begun.items() if kind != "to_do"}
        for part in begun.get("to_do", ()):
            places, model = part["places"], self._model_of(part["dataset"])
            made = model(pairs["clean"][places], part["depth"], seed=part["seeds"])
            # Stored in 8 bits, as a photograph of the degraded scene would be.
            pairs["degraded"][places] = made.mul(255).round().div(255)
        return pairs

    def _model_of(self, dataset: str | None) -> Composition:
        """The composition model that degrades the images of a data set."""
        model = self.composition
        if isinstance(model, Mapping):
            model = model.get(dataset or "")
        if model is None:
            raise ValueError("A source of clean images needs a composition model to degrade them.")
        return model


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
