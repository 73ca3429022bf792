"""A metric scores a restored image by the clean one; a protocol shows it both."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from ir_lightning.errors import UsageError
from ir_lightning.metrics.protocols import Protocol


class Metric(ABC):
    """A score of restored images, each by itself.

    A metric of your own is a subclass, in any package, and a yaml under ``conf/metric/`` whose key
    is its name. Classes of torchmetrics need no subclass
    (:class:`~ir_lightning.metrics.torch_metric.TorchMetric`).

    Attributes:
        unit: ``dB``, or empty.
        higher_is_better: the direction in which it chooses the best weights.
        colour: it needs three planes, so it is left out under a protocol that shows one.
        needs_degraded: it also takes the image before restoration, as the keyword ``degraded``, and
            scores restored images alone.
    """

    unit: str = ""
    higher_is_better: bool = True
    colour: bool = False
    needs_degraded: bool = False

    def compares(self, protocol: Protocol) -> bool:
        """Whether the protocol shows what the metric needs."""
        return protocol.colour or not self.colour

    @abstractmethod
    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        """Score every image: (B,), NaN where the metric is not defined for one.

        ``restored`` and ``clean``: (B, C, H, W) as the protocol shows them: float64, 0..255.
        """


def score_images(
    restored: Tensor,
    clean: Tensor,
    protocol: Protocol,
    metrics: Mapping[str, Metric],
    degraded: Tensor | None = None,
) -> dict[str, Tensor]:
    """Score every image by every metric, outside autocast and without gradients.

    A metric that needs what is not there, colours under the protocol or degraded images, is left
    out. A restoration that is not finite gets the worst score there is.

    Args:
        restored, clean, degraded: (B, 3, H, W) in [0, 1], any floating-point type and device.
        protocol: shows them to the metrics.
        metrics: by name.

    Returns:
        (B,) float64 by name.

    Raises:
        UsageError: the shapes differ, or a metric needs larger images.
    """
    if restored.shape != clean.shape or clean.dim() != 4 or clean.shape[1] != 3 or not len(clean):
        raise UsageError(
            f"Cannot score {tuple(restored.shape)} against {tuple(clean.shape)}: both must be "
            "(images, 3, height, width) of one size."
        )
    pixels = restored.flatten(1)
    broken = ~(pixels.amin(1).isfinite() & pixels.amax(1).isfinite())  # a NaN is both
    scores = {}
    with torch.no_grad(), torch.autocast(clean.device.type, enabled=False):
        planes = protocol.show(restored), protocol.show(clean)
        before = {} if degraded is None else {"degraded": protocol.show(degraded)}
        for name, metric in metrics.items():
            if not metric.compares(protocol) or (metric.needs_degraded and not before):
                continue
            values = metric(*planes, **(before if metric.needs_degraded else {})).double()
            worst = -torch.inf if metric.higher_is_better else torch.inf
            scores[name] = values.where(~broken.to(values.device), worst)
    return scores
