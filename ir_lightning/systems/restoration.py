"""What every restorer does, however it is trained: restore, validate, test."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric

from ir_lightning.metrics.protocols import protocol_named
from ir_lightning.systems.recipe import Recipe
from ir_lightning.tiling import restore_tiled

Batch = dict[str, Any]
"""``name``: B strings; ``degraded`` and ``clean``: (B, 3, H, W), float32 in [0, 1]."""

Row = dict[str, Any]
"""One image's scores: ``name``, ``protocol``, ``degraded_psnr``, ``degraded_ssim``,
``restored_psnr``, ``restored_ssim``; the columns of a second protocol are ``protocol:column``."""


class RestorationSystem(LightningModule):
    """The common half of the systems. A subclass adds ``training_step``.

    Budgets, schedules and the x axis of every curve count ``iteration``, one per batch: Lightning's
    ``global_step`` counts optimizer steps, two per batch for a GAN.

    Args:
        generator: (B, 3, H, W) in [0, 1] to the same.
        loss: named terms; each has a ``weight``. A term that is None is switched off.
        recipe: optimizer, schedule, budget and protocols.
    """

    def __init__(self, generator: nn.Module, loss: Mapping[str, Any], recipe: Recipe) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.terms = {name: term for name, term in loss.items() if term is not None}
        # A term with weights of its own (a perceptual network, say) follows to the device.
        modules = [term for term in self.terms.values() if isinstance(term, nn.Module)]
        self.term_modules = nn.ModuleList(modules)
        self.recipe = recipe
        self.protocols = {name: protocol_named(name) for name in recipe.protocols}
        self.protocol = recipe.protocols[0]
        self.iteration = 0
        self.tiled_images = 0
        # torchmetrics gathers the means when several processes validate.
        self.means = {"psnr": MeanMetric(), "ssim": MeanMetric()}
        self.mean_modules = nn.ModuleDict(self.means)
        self.test_rows: list[Row] = []

    def forward(self, degraded: Tensor) -> Tensor:
        """Restore: (B, 3, H, W) in [0, 1] to the same."""
        return self.generator(degraded)

    def restore(self, degraded: Tensor) -> Tensor:
        """Restore one evaluation image, in tiles if it is too large to be restored whole."""
        whole = self.recipe.whole_pixels
        if whole is None or degraded.shape[-1] * degraded.shape[-2] <= whole:
            return self(degraded)
        self.tiled_images += 1
        return restore_tiled(self, degraded, self.recipe.tile, self.recipe.overlap)

    def pixel_losses(self, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """The unweighted pixel terms, in float32 and in pix2pix's range [-1, 1].

        In that range lambda = 100 means what it means there: on [0, 1] it would count half.
        """
        restored, clean = restored.float() * 2 - 1, clean.float() * 2 - 1
        return {n: t(restored, clean) for n, t in self.terms.items() if n != "adversarial"}

    def weighted(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Sum of the terms, each times its weight."""
        return torch.stack([self.terms[name].weight * loss for name, loss in losses.items()]).sum()

    def descend(self, optimizer: Any, loss: Tensor) -> None:
        """One step of one optimizer at the rate that the schedule gives this iteration."""
        progress = self.iteration / self.recipe.iterations
        for group in optimizer.param_groups:
            base_rate = group.setdefault("initial_lr", group["lr"])
            group["lr"] = base_rate * self.recipe.schedule(progress)
        optimizer.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        if self.recipe.gradient_clip is not None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.gradient_clip)
        optimizer.step()

    def finish_iteration(self, losses: Mapping[str, Tensor]) -> None:
        """Count the batch and, every ``log_every`` iterations, write a row of the curve."""
        self.iteration += 1
        if self.iteration % self.recipe.log_every == 0 or self.iteration == self.recipe.iterations:
            self.write({f"train/{name}": loss.item() for name, loss in losses.items()})

    def write(self, values: dict[str, float]) -> None:
        """Send values to every logger, at this iteration, and to the progress bar."""
        for logger in self.loggers:
            logger.log_metrics(values, step=self.iteration)
        self.log_dict(values, prog_bar=True, logger=False, batch_size=1)

    def on_validation_epoch_start(self) -> None:
        for mean in self.means.values():
            mean.reset()

    def validation_step(self, batch: Batch, _: int) -> None:
        scores = self.protocols[self.protocol].score(
            self.restore(batch["degraded"]), batch["clean"]
        )
        self.means["psnr"].update(scores.psnr)
        self.means["ssim"].update(scores.ssim)

    def on_validation_epoch_end(self) -> None:
        self.write({f"val/{name}": mean.compute().item() for name, mean in self.means.items()})

    def on_test_epoch_start(self) -> None:
        self.test_rows = []
        self.tiled_images = 0

    def test_step(self, batch: Batch, _: int) -> Tensor:
        """Score one whole image by every protocol, before and after restoration.

        Returns:
            The restored image, (1, 3, H, W) in [0, 1].
        """
        degraded, clean = batch["degraded"], batch["clean"]
        restored = self.restore(degraded).float()
        row: Row = {"name": batch["name"][0], "protocol": self.protocol}
        for name, protocol in self.protocols.items():
            prefix = "" if name == self.protocol else f"{name}:"
            for kind, image in (("degraded", degraded), ("restored", restored)):
                scores = protocol.score(image, clean)
                row[f"{prefix}{kind}_psnr"] = scores.psnr.item()
                row[f"{prefix}{kind}_ssim"] = scores.ssim.item()
        self.test_rows.append(row)
        return restored
