"""The composition models: noise, haze, rain, and rain with haze."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ir_lightning.arguments import check_number, written
from ir_lightning.data.benchmarks.weather import WEATHER
from ir_lightning.data.degradations.degradation import Degradation, Interval, Range, Scene, interval
from ir_lightning.data.degradations.streaks import Streaks
from ir_lightning.errors import UsageError

LIGHT = (0.05, 0.35)
MEDIUM = (0.35, 0.65)
HEAVY = (0.65, 0.95)


class Noise(Degradation):
    """Linear additive noise that grows with the signal: y = x + n, n ~ N(0, shot x + read^2).

    The heteroscedastic Gaussian model of a sensor (Foi et al., "Practical Poissonian-Gaussian
    noise modeling and fitting for single-image raw-data", TIP 2008), as SIDD has it (Abdelhamed et
    al., CVPR 2018). A camera correlates n in space; its variance is that of the equation.

    Args:
        shot: variance of the photon noise at full scale.
        read: standard deviation of the noise in the dark, in parts of full scale.
        correlation: standard deviation in pixels of the Gaussian filter; 0 leaves the noise white.
    """

    def __init__(
        self, shot: Range = (0.002, 0.02), read: Range = (0.01, 0.05), correlation: float = 0.5
    ) -> None:
        self.shot = interval("shot", shot, 0, 1)
        self.read = interval("read", read, 0, 1)
        self.correlation = float(check_number("correlation", correlation, 0, 10))

    def degrade(self, scene: Scene) -> Tensor:
        shot, read = scene.uniform(self.shot), scene.uniform(self.read)
        noise = unit_noise(scene, self.correlation, scene.clean.shape[1])
        return scene.clean + noise * (shot * scene.clean + read**2).sqrt()


def unit_noise(scene: Scene, correlation: float, channels: int) -> Tensor:
    """(B, channels, H, W): Gaussian, of mean 0 and variance 1 at every pixel.

    ``correlation`` is the standard deviation in pixels of the filter that smooths it.
    """
    from kornia.filters import gaussian_blur2d, get_gaussian_kernel1d  # not for the preflight

    height, width = scene.clean.shape[2:]
    if correlation == 0:
        return scene.normal(channels, height, width)
    radius = math.ceil(3 * correlation)
    size = 2 * radius + 1
    white = scene.normal(channels, height + 2 * radius, width + 2 * radius)
    smooth = gaussian_blur2d(white, size, (correlation, correlation))
    # The variance is the sum of the squared weights, products of those of one dimension.
    deviation = get_gaussian_kernel1d(size, correlation).square().sum().item()
    return smooth[..., radius:-radius, radius:-radius] / deviation


def transmission(depth: Tensor, attenuation: Tensor) -> Tensor:
    """Part of the light that arrives: exp(-attenuation * depth), Beer-Lambert's law."""
    return torch.exp(-attenuation * depth)


def distances(scene: Scene, farthest: Interval, near: Interval) -> Tensor:
    """(B, 1, H, W): from ``near`` (in parts of it) to ``farthest``, both drawn for each image."""
    # Drawn last by every model: where both are fixed, nothing else that is drawn has moved.
    far, nearest = scene.uniform(farthest), scene.uniform(near)
    return far * (nearest + (1 - nearest) * scene.depth)


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
        distance: of the farthest point of a scene (relative depth 1), drawn for each image.
        near: of the nearest point, in parts of that: d = distance (near + (1 - near) depth). In
            RESIDE no point touches the camera.
    """

    needs_depth: ClassVar[bool] = True

    def __init__(
        self,
        beta: Range = (0.6, 1.8),
        light: Range = (0.7, 1.0),
        distance: Range = 2.0,
        near: Range = 0.0,
    ) -> None:
        self.beta = interval("beta", beta, 0, 100)
        self.light = interval("light", light, 0, 1)
        self.distance = interval("distance", distance, 0, 1000)
        self.near = interval("near", near, 0, 1)

    def degrade(self, scene: Scene) -> Tensor:
        beta, light = scene.uniform(self.beta), scene.uniform(self.light)
        away = distances(scene, self.distance, self.near)
        return veil(scene.clean, transmission(away, beta), light)


class Rain(Degradation):
    """Linear additive rain: O = J + S, with S the sum of the streak layers.

    Zhang, Sindagi, Patel, "Image De-raining Using a Conditional Generative Adversarial Network"
    (ID-CGAN, Rain800), arXiv 1701.05957. Without ``streaks``, the default rain is added.
    """

    def __init__(self, streaks: Streaks | None = None) -> None:
        self.streaks = streaks or Streaks()

    def degrade(self, scene: Scene) -> Tensor:
        return scene.clean + self.streaks.layers(scene).sum(1, keepdim=True)


class RainDensity(Degradation):
    """Density-aware additive rain: O = J + S, with S as dense as the image's noise level.

    Zhang, Patel, "Density-aware Single Image De-raining using a Multi-stream Dense Network"
    (DID-MDN, Rain1200), arXiv 1802.07412: noise of 5-35 % (:data:`LIGHT`), 35-65 %
    (:data:`MEDIUM`) or 65-95 % (:data:`HEAVY`), blurred along the fall, all three equally frequent.
    Here the noise level is the part of ``streaks.density`` that falls.

    Args:
        level: noise level; give one of the three ranges for rain of one class.
        streaks: the rain at level 1; None for the default rain.
    """

    def __init__(self, level: Range = (0.05, 0.95), streaks: Streaks | None = None) -> None:
        self.level = interval("level", level, 0, 1)
        self.streaks = streaks or Streaks(density=0.006)

    def degrade(self, scene: Scene) -> Tensor:
        amount = scene.numbers(self.level)
        return scene.clean + self.streaks.layers(scene, amount).sum(1, keepdim=True)


class HeavyRain(Degradation):
    """Streaks that the air veils: I = T (J + S_1 + ... + S_n) + (1 - T) A, T = exp(-beta d).

    Li, Cheong, Tan, "Heavy Rain Image Restoration: Integrating Physics Model and Conditional
    Adversarial Learning" (Outdoor-Rain), CVPR 2019, arXiv 1904.05050. As in its generator, J is
    blurred a little and J + sum S is limited to full scale.

    Args:
        beta: attenuation per unit of distance.
        light: atmospheric light A, gray, in parts of full scale.
        blur: standard deviation in pixels of the blur of J, at most 2; 0 leaves J sharp.
        streaks: the layers S_i; None for the default rain.
        distance, near: of the farthest and the nearest point, as of :class:`Haze`.
    """

    needs_depth: ClassVar[bool] = True

    def __init__(
        self,
        beta: Range = (3.0, 4.2),
        light: Range = (0.3, 0.9),
        blur: Range = (0.0, 1.0),
        streaks: Streaks | None = None,
        distance: Range = 1.0,
        near: Range = 0.0,
    ) -> None:
        self.beta = interval("beta", beta, 0, 100)
        self.light = interval("light", light, 0, 1)
        self.blur = interval("blur", blur, 0, 2)
        self.distance = interval("distance", distance, 0, 1000)
        self.near = interval("near", near, 0, 1)
        self.streaks = streaks or Streaks()

    def degrade(self, scene: Scene) -> Tensor:
        from kornia.filters import gaussian_blur2d  # not for the preflight

        beta, light = scene.uniform(self.beta), scene.uniform(self.light)
        sigma = scene.numbers(self.blur).clamp(min=1e-3)[:, None].expand(-1, 2)
        blurred = gaussian_blur2d(scene.clean, 9, sigma, border_type="replicate")
        rainy = blurred + self.streaks.layers(scene).sum(1, keepdim=True)
        away = distances(scene, self.distance, self.near)
        return veil(rainy.clamp(max=1), transmission(away, beta), light)


class RainHaze(Degradation):
    """Depth-aware rain: O = I (1 - R - A) + R + A0 A.

    R = R_pattern exp(-alpha max(d1, d)): rain in front of near objects is seen as streaks.
    A = 1 - exp(-beta d): in front of far ones it is fog. Hu et al., "Depth-attentional Features for
    Single-image Rain Removal" (DAF-Net, RainCityscapes), CVPR 2019. A drop of radius a is wider
    than a pixel up to the distance d1 = 2 f a.

    Args:
        weather: (alpha per metre, beta per metre, drop radius a in metres); each image gets one of
            the triples. As in the paper, alpha >= beta, so that R + A never exceeds 1.
        light: atmospheric light A0, gray, in parts of full scale.
        distance: metres to the farthest point of a scene (relative depth 1).
        focal: focal length f in pixels (Cityscapes: 2262).
        streaks: R_pattern, the rain at distance zero; None for the default rain.
    """

    needs_depth: ClassVar[bool] = True

    def __init__(
        self,
        weather: Sequence[Sequence[float]] = WEATHER,
        light: Range = (0.7, 1.0),
        distance: float = 150.0,
        focal: float = 2262.0,
        streaks: Streaks | None = None,
    ) -> None:
        try:
            self.weather = [[float(number) for number in triple] for triple in weather]
            legal = [a >= b >= 0 and radius >= 0 for a, b, radius in self.weather]
        except (TypeError, ValueError):
            legal = []
        if not (legal and all(legal)):
            wanted = "a list of [alpha, beta, drop radius] with alpha >= beta >= 0"
            raise UsageError(f"weather={written(weather)}: give {wanted}.")
        self.light = interval("light", light, 0, 1)
        self.distance = float(check_number("distance", distance, 0, 1e5))
        self.focal = float(check_number("focal", focal, 0, 1e5))
        self.streaks = streaks or Streaks(brightness=(0.6, 1.0))

    def degrade(self, scene: Scene) -> Tensor:
        alpha, beta, radius = scene.choice(self.weather)
        light = scene.uniform(self.light)
        pattern = self.streaks.layers(scene).sum(1, keepdim=True).clamp(max=1)
        metres = self.distance * scene.depth
        rain = pattern * transmission(torch.maximum(2 * self.focal * radius, metres), alpha)
        fog = 1 - transmission(metres, beta)
        return scene.clean * (1 - rain - fog) + rain + light * fog
