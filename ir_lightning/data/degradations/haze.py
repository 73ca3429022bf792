"""Haze, the composition of RESIDE, and the laws of light in scattering air."""

from typing import ClassVar

import torch
from torch import Tensor

from ir_lightning.arguments import check_number
from ir_lightning.data.degradations.degradation import Degradation, Range, Scene, interval


def transmission(depth: Tensor, attenuation: Tensor) -> Tensor:
    """Part of the light that arrives: exp(-attenuation * depth), Beer-Lambert's law."""
    return torch.exp(-attenuation * depth)


def veil(scene: Tensor, transmission: Tensor, light: Tensor) -> Tensor:
    """Koschmieder's law: the scene fades by the transmission t, the air adds (1 - t) light."""
    return scene * transmission + light * (1 - transmission)


class Haze(Degradation):
    """Atmospheric scattering: I = J t + A (1 - t), t = exp(-beta d).

    Li et al., "Benchmarking Single-Image Dehazing and Beyond" (RESIDE), TIP 2019,
    arXiv 1712.04143; beta and A have the ranges of its indoor training set (ITS).

    Args:
        beta: scattering coefficient, per unit of distance.
        light: atmospheric light A, gray, in parts of full scale.
        distance: of the farthest point of a scene (relative depth 1); d = distance * depth.
    """

    needs_depth: ClassVar[bool] = True

    def __init__(
        self, beta: Range = (0.6, 1.8), light: Range = (0.7, 1.0), distance: float = 2.0
    ) -> None:
        self.beta = interval("beta", beta, 0, 100)
        self.light = interval("light", light, 0, 1)
        self.distance = float(check_number("distance", distance, 0, 1000))

    def degrade(self, scene: Scene) -> Tensor:
        beta, light = scene.uniform(self.beta), scene.uniform(self.light)
        return veil(scene.clean, transmission(self.distance * scene.depth, beta), light)
