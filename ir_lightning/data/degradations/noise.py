"""Camera noise."""

import math

from torch import Tensor

from ir_lightning.arguments import check_number
from ir_lightning.data.degradations.degradation import Degradation, Range, Scene, interval


class Noise(Degradation):
    """Linear additive noise that grows with the signal: y = x + n, n ~ N(0, shot x + read^2).

    The heteroscedastic Gaussian model of a sensor (Foi et al., "Practical Poissonian-Gaussian
    noise modeling and fitting for single-image raw-data", TIP 2008), which SIDD's noise-level
    functions are written in (Abdelhamed et al., CVPR 2018). A camera's interpolation of colours
    correlates n in space; its variance at each pixel is that of the equation all the same.

    Args:
        shot: variance of the photon noise at full scale.
        read: standard deviation of the noise in the dark, in parts of full scale.
        correlation: standard deviation in pixels of the Gaussian that white noise is filtered
            with; 0 leaves it white.
    """

    def __init__(
        self, shot: Range = (0.002, 0.02), read: Range = (0.01, 0.05), correlation: float = 0.5
    ) -> None:
        self.shot = interval("shot", shot, 0, 1)
        self.read = interval("read", read, 0, 1)
        self.correlation = float(check_number("correlation", correlation, 0, 10))

    def degrade(self, scene: Scene) -> Tensor:
        shot, read = scene.uniform(self.shot), scene.uniform(self.read)
        return scene.clean + self._unit_noise(scene) * (shot * scene.clean + read**2).sqrt()

    def _unit_noise(self, scene: Scene) -> Tensor:
        """(B, C, H, W): Gaussian, of mean 0 and variance 1 at every pixel."""
        from kornia.filters import gaussian_blur2d, get_gaussian_kernel1d  # not for the preflight

        channels, height, width = scene.clean.shape[1:]
        if self.correlation == 0:
            return scene.normal(channels, height, width)
        radius = math.ceil(3 * self.correlation)
        size = 2 * radius + 1
        white = scene.normal(channels, height + 2 * radius, width + 2 * radius)
        smooth = gaussian_blur2d(white, size, (self.correlation, self.correlation))
        # A weighted sum of independent numbers has the variance of its squared weights, and the
        # weights of two dimensions are the products of those of one.
        deviation = get_gaussian_kernel1d(size, self.correlation).square().sum().item()
        return smooth[..., radius:-radius, radius:-radius] / deviation
