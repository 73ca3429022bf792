"""The normalisation layers a network may use, by the names of the configuration."""

from collections.abc import Callable

from torch import Tensor, nn

from ir_lightning.errors import UsageError
from ir_lightning.networks.geometry import NORMS

Norm = Callable[[int], nn.Module]
"""Builds the layer for a number of channels."""


def is_point(features: Tensor) -> bool:
    """Whether the map is 1x1: its statistics say nothing, and torch refuses them at batch 1."""
    return features.shape[-2:] == (1, 1)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm, no running statistics, no scale and shift; lets a 1x1 map pass unchanged."""

    def forward(self, features: Tensor) -> Tensor:
        return features if is_point(features) else super().forward(features)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that lets a 1x1 map pass unchanged, in training and in evaluation."""

    def forward(self, features: Tensor) -> Tensor:
        return features if is_point(features) else super().forward(features)


LAYERS: dict[str, Norm] = dict(zip(NORMS, (InstanceNorm, BatchNorm, nn.Identity), strict=True))


def norm_named(name: str, key: str) -> Norm:
    """The norm called ``name``; ``key`` is the configuration key that chose it.

    Raises:
        UsageError: if there is no such norm.
    """
    if name not in LAYERS:
        raise UsageError(f"{key} must be one of {', '.join(NORMS)}, not {name!r}.")
    return LAYERS[name]
