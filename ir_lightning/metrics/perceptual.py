"""LPIPS, whose networks were trained elsewhere: they must be on this machine."""

from pathlib import Path

import torch

from ir_lightning.errors import UsageError
from ir_lightning.metrics.torch_metric import TorchMetric

WEIGHTS = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
"""Files of torchvision's networks, as they are called at https://download.pytorch.org/models/."""


class LPIPS(TorchMetric):
    """Learned perceptual distance of Zhang et al. (2018), by torchmetrics; 0 for equal images.

    Nothing is downloaded: the weights are read from torch's folder of checkpoints,
    ``~/.cache/torch/hub/checkpoints`` unless ``TORCH_HOME`` names another.

    Args:
        network: ``alex``, ``vgg`` or ``squeeze``.

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
