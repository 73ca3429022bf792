"""Light that travels through scattering air."""

import torch
from torch import Tensor


def transmission(depth: Tensor, attenuation: Tensor) -> Tensor:
    """Part of the light that arrives: exp(-attenuation * depth), Beer-Lambert's law."""
    return torch.exp(-attenuation * depth)


def veil(scene: Tensor, transmission: Tensor, light: Tensor) -> Tensor:
    """Koschmieder's law: the scene fades by the transmission t, the air adds (1 - t) light."""
    return scene * transmission + light * (1 - transmission)
