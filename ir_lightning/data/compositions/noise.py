"""Camera noise."""

import math
from dataclasses import dataclass

from kornia.filters import filter2d_separable, get_gaussian_kernel1d
from torch import Tensor

from ir_lightning.data.compositions.composition import Composition
from ir_lightning.data.compositions.draws import Draws
from ir_lightning.data.compositions.parameters import Range, settle


@dataclass(frozen=True)
class Noise(Composition):
    """Linear additive noise that grows with the signal: y = x + n, n ~ N(0, shot x + read^2).

    The heteroscedastic Gaussian model of a sensor (Foi et al., "Practical Poissonian-Gaussian
    noise modeling and fitting for single-image raw-data", TIP 2008), which SIDD's noise-level
    functions are written in (Abdelhamed et al., CVPR 2018). A camera's interpolation of colours
    spreads a pixel's noise over its neighbours, so n may be correlated in space; its variance at
    each pixel is that of the equation all the same.

    Args:
        shot: variance of the photon noise at full scale.
        read: standard deviation of the noise in the dark, in parts of full scale.
        correlation: standard deviation in pixels of the Gaussian that white noise is filtered
            with; 0 leaves it white.
    """

    shot: Range = (0.002, 0.02)
    read: Range = (0.01, 0.05)
    correlation: float = 0.5

    def __post_init__(self) -> None:
        settle(self, shot=(0, 1), read=(0, 1), correlation=(0, 10))

    def compose(self, clean: Tensor, depth: Tensor, draws: Draws) -> Tensor:
        shot, read = draws.uniform(self.shot), draws.uniform(self.read)
        return clean + self._unit_noise(draws) * (shot * clean + read**2).sqrt()

    def _unit_noise(self, draws: Draws) -> Tensor:
        """(B, C, H, W): Gaussian, of mean 0 and variance 1 at every pixel."""
        channels, height, width = draws.image.shape[1:]
        if self.correlation == 0:
            return draws.normal(channels, height, width)
        radius = math.ceil(3 * self.correlation)
        white = draws.normal(channels, height + 2 * radius, width + 2 * radius)
        kernel = draws.place(get_gaussian_kernel1d(2 * radius + 1, self.correlation))
        kernel = kernel / kernel.norm()  # a weighted sum's variance is that of its squared weights
        return filter2d_separable(white, kernel, kernel, padding="valid")
