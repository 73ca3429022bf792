"""What every degradation model has in common: its call, its seeds and its checks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ir_lightning.data.degradations.scene import Scene
from ir_lightning.errors import UsageError


class Degradation(ABC):
    """Turns clean images into degraded ones: ``composition(clean, depth, seed=7)``.

    The constructor of a subclass takes physical parameters. One that is given as a range
    ``[low, high]`` is drawn anew for every image; a single number holds for all of them.
    """

    needs_depth: ClassVar[bool] = False

    def __call__(
        self, clean: Tensor, depth: Tensor | None = None, *, seed: int | Sequence[int]
    ) -> Tensor:
        """Degrade a batch.

        The result is a pure function of each image, its depth and its seed: the rest of the
        batch, the device and the global generators have no part in it (rounding aside).

        Args:
            clean: (B, C, H, W), floating point in [0, 1], on any device.
            depth: (B, 1, H, W), relative depth: 0 = nearest, 1 = farthest point of the scene.
                Without effect on models that need none.
            seed: one number s >= 0, for which image b draws from the seed (s, b), or a sequence
                of B numbers, one for each image. For a single image ``s`` and ``[s]`` are equal.

        Returns:
            The degraded images: shape, type and device of ``clean``, clamped to [0, 1].

        Raises:
            UsageError: the model needs the depth and there is none.
            ValueError: shapes, types or the number of seeds do not fit.
        """
        if clean.ndim != 4 or not clean.is_floating_point():
            raise ValueError(f"clean must be (B, C, H, W) floats, not {clean.dtype} {clean.shape}")
        # Half precision is too coarse to compute in: 1 - exp(-x) of a small x would be zero.
        image = clean.float() if clean.itemsize < 4 else clean
        degraded = self.degrade(Scene(image, self._distance(image, depth), seed))
        return degraded.clamp(0, 1).to(clean.dtype)

    @abstractmethod
    def degrade(self, scene: Scene) -> Tensor:
        """(B, C, H, W): the model's equation, before clamping."""

    def _distance(self, image: Tensor, depth: Tensor | None) -> Tensor:
        near = torch.zeros_like(image[:, :1])
        if depth is None:
            if self.needs_depth:
                raise UsageError(
                    f"The composition model {type(self).__name__} needs the depth of each scene, "
                    "but these images have none; give it with them, or choose noise or rain."
                )
            return near
        if depth.shape != near.shape:
            raise ValueError(f"depth must be {near.shape} for these images, not {depth.shape}")
        return depth.to(near)
