"""How images are scored: a protocol shows them, metrics compare them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ir_lightning.errors import UsageError
from ir_lightning.metrics.metric import Metric
from ir_lightning.metrics.protocols import Protocol


def score_images(
    restored: Tensor,
    clean: Tensor,
    protocol: Protocol,
    metrics: Mapping[str, Metric],
    degraded: Tensor | None = None,
) -> dict[str, Tensor]:
    """Score every image by every metric, outside autocast and without gradients.

    A metric that cannot be computed is left out: one that needs colours, under a protocol of one
    plane; one that needs the degraded images, without them. A restoration that is not finite gets
    the worst score there is.

    Args:
        restored, clean, degraded: (B, 3, H, W) in [0, 1], any floating-point type and device.
        protocol: shows them to the metrics.
        metrics: by name.

    Returns:
        (B,) float64 by name.

    Raises:
        UsageError: the shapes differ, or a metric needs larger images.
    """
    _refuse_unscorable(restored, clean)
    broken = ~restored.isfinite().flatten(1).all(dim=1)
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


def as_metric(name: str, built: object) -> Metric:
    """What a configuration has built, as a metric.

    Raises:
        UsageError: it is none.
    """
    if isinstance(built, Metric):
        return built
    import torchmetrics  # takes seconds, for which a run that scores without it need not wait

    from ir_lightning.metrics.torch_metric import TorchMetric

    if isinstance(built, torchmetrics.Metric):
        return TorchMetric(built)
    raise UsageError(
        f"evaluation.metrics.{name} is a {type(built).__name__} and no metric: name a class of "
        "torchmetrics, or a subclass of ir_lightning.metrics.Metric."
    )


def _refuse_unscorable(restored: Tensor, clean: Tensor) -> None:
    if restored.shape != clean.shape or clean.dim() != 4 or clean.shape[1] != 3 or not len(clean):
        raise UsageError(
            f"Cannot score {tuple(restored.shape)} against {tuple(clean.shape)}: both must be "
            "(images, 3, height, width) of one size."
        )
