"""What every degradation model has in common: its parameters, its scenes, its call."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ir_lightning.arguments import written
from ir_lightning.errors import UsageError

Range = float | Sequence[float]  # a fixed number, or [low, high], from which each image draws
Interval = tuple[float, float]


def interval(
    name: str, value: Range, smallest: float, largest: float, positive: bool = False
) -> Interval:
    """Lowest and highest value of a parameter; raises UsageError beyond the legal ones.

    A range that is ``positive`` begins above 0, as one whose logarithm is drawn must.
    """
    try:
        low, high = (value, value) if isinstance(value, int | float) else value
        legal = smallest <= low <= high <= largest and (low > 0 or low == high or not positive)
    except (TypeError, ValueError):
        legal = False
    if not legal:
        wanted = f"a number, or a range [low, high], between {smallest:g} and {largest:g}"
        wanted += ", that does not begin at 0" if positive else ""
        raise UsageError(f"{name}={written(value)}: give {wanted}.")
    return float(low), float(high)


class Scene:
    """A batch of clean images, each with a depth and a random generator of its own.

    ``clean`` is (B, C, H, W), ``depth`` (B, 1, H, W), both in [0, 1]. With a ``seed`` s, image b
    draws from (s, b); or there is one seed for each image. Random numbers are drawn on the CPU in
    float32, so every device and type gets the same ones.

    Raises:
        ValueError: not one seed for each image, or a negative one.
    """

    def __init__(self, clean: Tensor, depth: Tensor, seed: int | Sequence[int]) -> None:
        batch = clean.shape[0]
        keys: Any = [(seed, b) for b in range(batch)] if np.ndim(seed) == 0 else seed
        if len(keys) != batch:
            raise ValueError(f"{len(keys)} seeds for a batch of {batch} images; give one for each")
        self.clean = clean
        self.depth = depth
        # SeedSequence mixes all numbers of a key; torch's generator keeps 32 bits of a seed.
        states = [int(np.random.SeedSequence(key).generate_state(1)[0]) for key in keys]
        self.generators = [torch.Generator().manual_seed(state) for state in states]

    def numbers(self, interval: Interval) -> Tensor:
        """(B,), float32 on the CPU: for each image one number of the interval."""
        low, high = interval
        return low + (high - low) * torch.cat([torch.rand(1, generator=g) for g in self.generators])

    def uniform(self, interval: Interval) -> Tensor:
        """(B, 1, 1, 1): the same, ready to be multiplied with the images."""
        return self.place(self.numbers(interval)).view(-1, 1, 1, 1)

    def logarithmic(self, interval: Interval) -> Tensor:
        """(B, 1, 1, 1): for each image a number whose logarithm is drawn evenly; 0 if both are."""
        low, high = interval
        if low == high:
            return self.uniform(interval)
        return self.uniform((math.log(low), math.log(high))).exp()

    def choice(self, rows: Sequence[Sequence[float]]) -> Tensor:
        """(K, B, 1, 1, 1): for each image one of the rows of K numbers, all equally likely."""
        picked = [rows[int(torch.randint(len(rows), (1,), generator=g))] for g in self.generators]
        return self.place(torch.tensor(picked)).T.reshape(-1, len(picked), 1, 1, 1)

    def normal(self, *shape: int) -> Tensor:
        """White Gaussian noise of unit variance, of this shape for each image: (B, ...)."""
        return self.place(torch.stack([torch.randn(shape, generator=g) for g in self.generators]))

    def place(self, numbers: Tensor) -> Tensor:
        """The numbers in the images' type, on the images' device, without waiting for it."""
        ready = numbers.pin_memory() if self.clean.is_cuda else numbers
        return ready.to(self.clean, non_blocking=True)


class Degradation(ABC):
    """Turns clean images into degraded ones: ``composition(clean, depth, seed=7)``.

    A parameter that is given as a range ``[low, high]`` is drawn anew for every image.
    """

    needs_depth: ClassVar[bool] = False

    def __call__(
        self, clean: Tensor, depth: Tensor | None = None, *, seed: int | Sequence[int]
    ) -> Tensor:
        """Degrade a batch: for each image a pure function of it, its depth and its seed.

        Args:
            clean: (B, C, H, W), floating point in [0, 1], on any device.
            depth: (B, 1, H, W), relative depth: 0 = nearest, 1 = farthest point of the scene.
            seed: one number >= 0, or one for each image; for a single image the same.

        Raises:
            UsageError: the model needs the depth and there is none.
            ValueError: shapes, types or the number of seeds do not fit.
        """
        if clean.ndim != 4 or not clean.is_floating_point():
            raise ValueError(f"clean must be (B, C, H, W) floats, not {clean.dtype} {clean.shape}")
        # Half precision is too coarse to compute in: 1 - exp(-x) of a small x would be zero.
        image = clean.float() if clean.itemsize < 4 else clean
        near = torch.zeros_like(image[:, :1])
        if depth is None and self.needs_depth:
            model = f"The composition model {type(self).__name__} needs the depth of each scene"
            advice = "give it with them, or choose noise or rain"
            raise UsageError(f"{model}, but these images have none; {advice}.")
        if depth is not None and depth.shape != near.shape:
            raise ValueError(f"depth must be {near.shape} for these images, not {depth.shape}")
        distance = near if depth is None else depth.to(near)
        return self.degrade(Scene(image, distance, seed)).clamp(0, 1).to(clean.dtype)

    @abstractmethod
    def degrade(self, scene: Scene) -> Tensor:
        """(B, C, H, W): the model's equation, before clamping."""
