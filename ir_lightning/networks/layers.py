"""What the networks share: normalisation by name, padding to any size."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_choice

Norm = Callable[[int], nn.Module]  # builds the layer for a number of channels


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm, no running statistics, no scale and shift; lets a 1x1 map pass unchanged.

    The statistics of one point say nothing, and torch refuses them at batch 1.
    """

    def forward(self, features: Tensor) -> Tensor:
        return features if features.shape[-2:] == (1, 1) else super().forward(features)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that lets a 1x1 map pass unchanged, in training and in evaluation."""

    def forward(self, features: Tensor) -> Tensor:
        return features if features.shape[-2:] == (1, 1) else super().forward(features)


NORMS: dict[str, Norm] = {"instance": InstanceNorm, "batch": BatchNorm, "none": nn.Identity}


def norm_named(name: str) -> Norm:
    """The norm that the argument ``norm`` of a network names, or a UsageError."""
    return NORMS[check_choice("norm", name, NORMS)]


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """(B, C, H, W) continued right and below until both edges are a multiple of ``multiple``.

    The border pixels are repeated: a reflection would need an image larger than its padding.
    """
    below, right = (-edge % multiple for edge in image.shape[-2:])
    return F.pad(image, (0, right, 0, below), mode="replicate") if below or right else image
