"""Noise as a photograph shows it: made in the sensor, seen through the camera's pipeline."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from ir_lightning.arguments import check_number
from ir_lightning.data.degradations.degradation import Degradation, Range, Scene, interval
from ir_lightning.data.degradations.models import unit_noise
from ir_lightning.errors import UsageError

SRGB = "srgb"
TOE = 0.0031308  # linear light up to which sRGB is a straight line

# How much of each other channel a camera's matrix takes away (rows: from R, G, B), in parts of it.
# Rows sum to 0, so that white stays white. Typical of smartphones.
MIXING = ((1.0, -0.75, -0.25), (-0.35, 0.85, -0.5), (-0.1, -0.9, 1.0))


def to_linear(image: Tensor, gamma: float | str) -> Tensor:
    """Linear light of an image in [0, 1]; ``gamma`` is ``"srgb"`` or an exponent."""
    if gamma != SRGB:
        return image ** float(gamma)
    curve = ((image.clamp(min=0) + 0.055) / 1.055) ** 2.4
    return torch.where(image <= 12.92 * TOE, image / 12.92, curve)


def from_linear(light: Tensor, gamma: float | str) -> Tensor:
    """The inverse of :func:`to_linear`; light outside [0, 1] is clipped."""
    light = light.clamp(0, 1)
    if gamma != SRGB:
        return light ** (1 / float(gamma))
    return torch.where(
        light <= TOE, 12.92 * light, 1.055 * light.clamp(min=TOE) ** (1 / 2.4) - 0.055
    )


class CameraNoise(Degradation):
    """Sensor noise after white balance, colour matrix and gamma: y = f(f^-1(x) + M G n).

    In the sensor the light of a channel is s = (M G)^-1 f^-1(x), in linear light, and its noise
    n ~ N(0, shot s + read^2) (Foi et al., TIP 2008). Demosaicing correlates it between neighbours
    and channels; the gains G of the white balance and the colour matrix M amplify it, and the gamma
    f lifts it in the dark: so in SIDD (Abdelhamed et al., CVPR 2018) noise in sRGB *falls* with
    brightness, is weakest in green and shared by red and blue. With M = G = 1 and f linear it is
    :class:`~ir_lightning.data.Noise`.

    Args:
        shot: variance of the photon noise at full scale, in linear light; each image draws its
            logarithm evenly, as sensitivities are.
        read: standard deviation in the dark, in linear light; likewise.
        gains: of red and of blue by the white balance, green's being 1; drawn for each image.
        mixing: strength of the colour matrix M = 1 + mixing * :data:`MIXING`; 0 for none.
        sharing: correlation of any two channels after demosaicing, from 0 to 1.
        correlation: standard deviation in pixels of the Gaussian filter that demosaicing is in
            space; 0 leaves the noise white.
        gamma: ``srgb``, or an exponent such as 2.2.

    Raises:
        UsageError: a parameter is impossible, or gamma is neither a number from 1 to 4 nor srgb.
        ValueError: an image to be degraded has not three channels.
    """

    needs_depth: ClassVar[bool] = False

    def __init__(
        self,
        shot: Range = (0.00012, 0.008),
        read: Range = (0.0005, 0.009),
        gains: Range = (1.3, 2.1),
        mixing: float = 0.6,
        sharing: float = 0.65,
        correlation: float = 0.6,
        gamma: float | str = SRGB,
    ) -> None:
        self.shot = interval("shot", shot, 0, 1, positive=True)
        self.read = interval("read", read, 0, 1, positive=True)
        self.gains = interval("gains", gains, 0.1, 10)
        self.mixing = float(check_number("mixing", mixing, 0, 1))
        self.sharing = float(check_number("sharing", sharing, 0, 1))
        self.correlation = float(check_number("correlation", correlation, 0, 10))
        if gamma != SRGB and (type(gamma) not in (int, float) or not 1 <= float(gamma) <= 4):
            raise UsageError(f"gamma={gamma}: give srgb, or a number from 1 to 4.")
        self.gamma = gamma

    def degrade(self, scene: Scene) -> Tensor:
        if scene.clean.shape[1] != 3:
            raise ValueError(f"a camera has three channels, not {scene.clean.shape[1]}")
        shot, read = scene.logarithmic(self.shot), scene.logarithmic(self.read)
        camera, inverse = self._camera(scene)
        light = to_linear(scene.clean, self.gamma)
        sensor = torch.einsum("bij,bjhw->bihw", inverse, light).clamp(min=0)
        noise = self._unit_noise(scene) * (shot * sensor + read**2).sqrt()
        seen = torch.einsum("bij,bjhw->bihw", camera, noise)
        return from_linear(light + seen, self.gamma)

    def _camera(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """(B, 3, 3), both: M G, from the sensor's colours to the image's, and its inverse."""
        red, blue = scene.numbers(self.gains), scene.numbers(self.gains)
        gains = torch.stack([red, torch.ones_like(red), blue], 1)
        camera = (torch.eye(3) + self.mixing * torch.tensor(MIXING)) * gains[:, None]
        # Inverted on the CPU: on a GPU it would have to be waited for.
        return scene.place(camera), scene.place(torch.linalg.inv(camera))

    def _unit_noise(self, scene: Scene) -> Tensor:
        """(B, 3, H, W): of variance 1, any two channels correlated by ``sharing``."""
        own = unit_noise(scene, self.correlation, scene.clean.shape[1])
        shared = unit_noise(scene, self.correlation, 1)
        return math.sqrt(1 - self.sharing) * own + math.sqrt(self.sharing) * shared
