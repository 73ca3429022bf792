"""Haze, the composition of RESIDE."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ir_lightning.data.compositions.atmosphere import transmission, veil
from ir_lightning.data.compositions.composition import Composition
from ir_lightning.data.compositions.draws import Draws
from ir_lightning.data.compositions.parameters import Range, settle


@dataclass(frozen=True)
class Haze(Composition):
    """Atmospheric scattering: I = J t + A (1 - t), t = exp(-beta d).

    Li et al., "Benchmarking Single-Image Dehazing and Beyond" (RESIDE), TIP 2019,
    arXiv 1712.04143; beta and A have the ranges of its indoor training set (ITS).

    Args:
        beta: scattering coefficient, per unit of distance.
        light: atmospheric light A, gray, in parts of full scale.
        distance: of the farthest point of a scene (relative depth 1); d = distance * depth.
    """

    needs_depth: ClassVar[bool] = True

    beta: Range = (0.6, 1.8)
    light: Range = (0.7, 1.0)
    distance: float = 2.0

    def __post_init__(self) -> None:
        settle(self, beta=(0, 100), light=(0, 1), distance=(0, 1000))

    def compose(self, clean: Tensor, depth: Tensor, draws: Draws) -> Tensor:
        beta, light = draws.uniform(self.beta), draws.uniform(self.light)
        return veil(clean, transmission(self.distance * depth, beta), light)
