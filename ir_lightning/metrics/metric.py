"""What a metric is: a number for a restored image, given the clean one."""

from abc import ABC, abstractmethod

from torch import Tensor

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
        needs_degraded: it also takes the image before restoration, as the keyword ``degraded``. It
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
        """Score every image.

        Args:
            restored, clean: (B, C, H, W) as the protocol shows them: float64, 0..255.

        Returns:
            (B,), NaN where the metric is not defined for an image.
        """
