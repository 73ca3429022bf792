"""Metrics of torchmetrics, one image at a time."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ir_lightning.errors import UsageError
from ir_lightning.metrics.scoring import Metric

if TYPE_CHECKING:
    import torchmetrics

PROBE = 192  # pixels: the side of the image that a metric is tried with


def as_metric(name: str, built: object) -> Metric:
    """What a configuration has built, as a metric, or a UsageError if it is none."""
    if isinstance(built, Metric):
        return built
    import torchmetrics  # takes seconds, for which a run that scores without it need not wait

    if isinstance(built, torchmetrics.Metric):
        return TorchMetric(built)
    raise UsageError(
        f"evaluation.metrics.{name} is a {type(built).__name__} and no metric: name a class of "
        "torchmetrics, or a subclass of ir_lightning.metrics.Metric."
    )


class TorchMetric(Metric):
    """A metric of torchmetrics. It is given images in [0, 1], in float32, each by itself.

    A configuration names the class of torchmetrics itself; this one around it only where something
    has to be said that it does not know.

    Args:
        metric: compares one restored image with its clean one, (1, C, H, W).
        unit: ``dB``, or empty.
        higher_is_better: None: as the metric says.
        colour: it needs the three colour planes.

    Raises:
        UsageError: it scores no pairs of images, or does not say which direction is better.
    """

    def __init__(
        self,
        metric: "torchmetrics.Metric",
        unit: str = "",
        higher_is_better: bool | None = None,
        colour: bool = False,
    ) -> None:
        self.metric: Any = metric
        self.unit = unit
        self.colour = colour
        self.name = type(metric).__name__
        direction = metric.higher_is_better if higher_is_better is None else higher_is_better
        if direction is None:
            raise UsageError(
                f"{self.name} does not say whether more is better: wrap it in "
                "_target_: ir_lightning.metrics.TorchMetric with higher_is_better: true or false."
            )
        self.higher_is_better = direction
        grey = torch.linspace(0, 1, PROBE**2).reshape(1, 1, PROBE, PROBE).repeat(1, 3, 1, 1)
        try:
            self._one(grey, grey.square()).item()
        except Exception as error:  # whatever a metric of another kind makes of two images
            raise UsageError(
                f"{self.name} cannot score a restored image by its clean one: "
                f"{str(error).splitlines()[0]}"
            ) from error

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        """As every metric; NaN, with a warning, for an image that it refuses (too small, say)."""
        self.metric.to(clean.device)
        values = []
        for x, y in zip((restored / 255).float(), (clean / 255).float(), strict=True):
            try:
                values.append(self._one(x[None], y[None]))
            except ValueError as error:
                size = f"{clean.shape[-1]} x {clean.shape[-2]} pixels"
                reason = f"{self.name} is not defined for an image of {size}: {error}"
                warnings.warn(reason, stacklevel=2)
                values.append(torch.tensor(torch.nan, device=clean.device))
        return torch.stack(values)

    def _one(self, restored: Tensor, clean: Tensor) -> Tensor:
        # Its own call scores this pair alone; compute() would ask the other processes for theirs.
        value: Tensor = self.metric(restored, clean)
        self.metric.reset()
        return value.reshape(())


WEIGHTS = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
"""Files of torchvision's networks, as they are called at https://download.pytorch.org/models/."""


class LPIPS(TorchMetric):
    """Learned perceptual distance of Zhang et al. (2018), by torchmetrics; 0 for equal images.

    Nothing is downloaded: the weights of ``network`` (``alex``, ``vgg`` or ``squeeze``) are read
    from ``~/.cache/torch/hub/checkpoints``, unless ``TORCH_HOME`` names another folder.

    Raises:
        UsageError: there is no such network, torchvision is missing, or the weights are.
    """

    def __init__(self, network: str = "alex") -> None:
        if network not in WEIGHTS:
            raise UsageError(f"LPIPS has no network {network}: choose {', '.join(WEIGHTS)}.")
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        if not (folder / WEIGHTS[network]).exists():
            raise UsageError(
                f"LPIPS needs the weights {folder / WEIGHTS[network]}: put the file from "
                f"https://download.pytorch.org/models/{WEIGHTS[network]} there."
            )
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        try:
            # Layers draw random weights before they are loaded: the run's own must not change.
            with torch.random.fork_rng(devices=[]):
                lpips = LearnedPerceptualImagePatchSimilarity(network, normalize=True)  # type: ignore[arg-type]
        except ModuleNotFoundError:
            raise UsageError(
                "LPIPS needs torchvision: pip install -c constraints.txt 'ir-lightning[lpips]'."
            ) from None
        super().__init__(lpips, colour=True)
