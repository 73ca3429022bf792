"""How a trained system is evaluated, whichever networks it trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ir_lightning.arguments import check_choice, check_whole, written
from ir_lightning.errors import UsageError
from ir_lightning.metrics.protocols import protocol_named
from ir_lightning.metrics.scoring import Metric, score_images
from ir_lightning.metrics.similarity import PSNR, SSIM, UndegradedPSNR
from ir_lightning.metrics.torch_metric import as_metric
from ir_lightning.networks.tiling import check_tiles

Scores = dict[tuple[str, str, str], float]
"""One image's: protocol, kind (``degraded`` or ``restored``) and metric, to its value."""

# The metrics of a configuration that names none.
USUAL = {"psnr": PSNR(), "ssim": SSIM(), "undegraded_psnr": UndegradedPSNR()}


@dataclass
class Evaluation:
    """Everything about validation and test.

    Args:
        protocols: names of the scoring protocols of the test images; the first is the run's.
        metrics: by name; of this package or of torchmetrics.
        choose_by: the metric whose mean over the validation images chooses the best weights.
        validation_protocol: the protocol by which validation images are scored, so that a trained
            run may be tested by others.
        validation_metrics: those that the training curve shows beside ``choose_by``.
        weights: which ones are tested: ``best`` (of the validations) or ``last``.
        whole_pixels: larger images are restored in overlapping tiles, which bounds the memory;
            None restores every image whole.
        tile, overlap: their largest side and what neighbours share, in pixels.

    Raises:
        UsageError: a protocol, metric or choice is unknown, or cannot be used in its place, or a
            number is out of range.

    Attributes:
        main_metric: ranks the test images by the run's protocol: ``choose_by``, unless it cannot.
    """

    protocols: list[str]
    metrics: Mapping[str, Any] = field(default_factory=lambda: {**USUAL})
    choose_by: str = "psnr"
    validation_protocol: str = "rgb8"
    validation_metrics: Sequence[str] = ("psnr", "ssim")
    weights: str = "best"
    whole_pixels: int | None = None
    tile: int = 1024
    overlap: int = 128

    def __post_init__(self) -> None:
        if not (isinstance(self.protocols, list) and self.protocols):
            raise UsageError(f"protocols={written(self.protocols)}: give a list, such as [rgb8].")
        self._protocols = [protocol_named(name) for name in self.protocols]
        self._validation = protocol_named(self.validation_protocol)
        self.metrics = {n: as_metric(n, m) for n, m in self.metrics.items() if m is not None}
        check_choice("weights", self.weights, ("best", "last"))
        check_whole("whole_pixels", self.whole_pixels, 1, optional=True)
        check_tiles(self.tile, self.overlap)
        chosen = dict.fromkeys([*self.validation_metrics, self.choose_by])
        self._validated = {name: self._validating(name) for name in chosen}
        self.main_metric = self._main_metric()

    def validate(self, restored: Tensor, clean: Tensor) -> dict[str, float]:
        """Score one restored validation image, (1, 3, H, W) in [0, 1]: metric to value."""
        scores = score_images(restored, clean, self._validation, self._validated)
        return {name: values.item() for name, values in scores.items()}

    def test(self, restored: Tensor, degraded: Tensor, clean: Tensor) -> Scores:
        """Score one test image, (1, 3, H, W) in [0, 1], before and after restoration."""
        scores: Scores = {}
        for protocol in self._protocols:
            before = score_images(degraded, clean, protocol, self.metrics)
            after = score_images(restored, clean, protocol, self.metrics, degraded)
            for kind, values in (("degraded", before), ("restored", after)):
                scores |= {(protocol.name, kind, n): v.item() for n, v in values.items()}
        return scores

    def better(self, value: float, than: float) -> bool:
        """Compare two means of the metric that chooses the best weights, by its direction."""
        higher = self.metrics[self.choose_by].higher_is_better
        return value > than if higher else value < than

    def _validating(self, name: str) -> Metric:
        """The metric of that name, which must score validation images."""
        key = "choose_by" if name == self.choose_by else "validation_metrics"
        metric: Metric | None = self.metrics.get(name)
        if metric is None:
            raise UsageError(
                f"evaluation.{key}={name} is no metric of this run: take one of "
                f"{', '.join(self.metrics)}, or add +metric={name}."
            )
        if metric.needs_degraded or not metric.compares(self._validation):
            raise UsageError(
                f"evaluation.{key}={name} does not score validation images by "
                f"{self.validation_protocol}: take another metric, or another "
                "evaluation.validation_protocol."
            )
        return metric

    def _main_metric(self) -> str:
        """The metric that test images are ranked by: the choosing one, where their protocol can."""
        first = self._protocols[0]
        for name in (self.choose_by, *self.metrics):
            if self.metrics[name].compares(first) and not self.metrics[name].needs_degraded:
                return name
        raise UsageError(
            f"evaluation.protocols={self.protocols}: no metric of this run scores images by "
            f"{first.name}; choose_by is {self.choose_by}."
        )
