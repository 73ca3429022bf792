"""What D knows and what G still hears of it, on held-out windows (section VI.3, Fig. 7)."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F

from ir_lightning.arguments import check_whole
from ir_lightning.data.module import EvaluationPairs
from ir_lightning.data.pair_maker import Pair
from ir_lightning.errors import UsageError
from ir_lightning.statistics.imbalance import FOLDS, discrimination
from ir_lightning.systems.restoration import to_float32

FEWEST = 2 * FOLDS


class Balance(Callback):
    """Adds to ``metrics.csv``, at every validation:

    - ``balance/bits``, ``/low``, ``/auc``: J_D of D's scores with its lower limit, and their AUC
      (:func:`.imbalance.discrimination`);
    - ``balance/g_adversarial``, ``balance/g_pixel``: the norm of the gradient of the weighted
      adversarial term, and of the pixel terms, at the restored image; ``balance/cosine`` between
      the two. Each is the mean over windows;
    - ``balance/loss``: the generator's weighted loss.

    Nothing of the training changes. A system without a discriminator has nothing to measure.

    Args:
        windows: parts of validation images that do not overlap, four or more; fewer are taken where
            there are fewer. The error of J_D is that between windows.
        side: of a window, in pixels; less where an image is smaller.

    Raises:
        UsageError: fewer than four windows are asked for; or, when training starts, are there.
    """

    def __init__(self, windows: int, side: int) -> None:
        self.windows = check_whole("windows", windows, FEWEST)
        self.side = check_whole("side", side, 1)
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def setup(self, trainer: Any, pl_module: LightningModule, stage: str) -> None:
        if stage == "test" or self.pairs or not hasattr(pl_module, "discriminator"):
            return
        data = trainer.datamodule.validation_pairs
        whole = EvaluationPairs(data.source, data.make, self.windows, order=data.order)
        pairs = [whole[index] for index in range(len(whole))]
        side = min(self.side, *(min(pair["clean"].shape[-2:]) for pair in pairs))
        found = [window for pair in pairs for window in _windows(pair, side)]
        if len(found) < FEWEST:
            raise UsageError(
                f"callbacks=balance needs {FEWEST} windows of {side} pixels; the validation images "
                f"have {len(found)}: give a smaller callbacks.balance.side."
            )
        # Spread evenly, so that all images have their share.
        chosen = np.linspace(0, len(found) - 1, min(self.windows, len(found))).round().astype(int)
        self.pairs = [found[number] for number in chosen]

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        if not self.pairs or not trainer.is_global_zero:
            return
        device = pl_module.device
        with torch.enable_grad():
            values = measured(pl_module, ((x.to(device), y.to(device)) for x, y in self.pairs))
        for logger in trainer.loggers:
            named = {f"balance/{name}": value for name, value in values.items()}
            logger.log_metrics(named, step=pl_module.iteration)


def measured(system: Any, pairs: Iterator[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """The numbers of :class:`Balance`, of an :class:`.AdversarialSystem`.

    ``pairs`` are degraded and clean images, each (1, 3, h, w) in [0, 1], all of one size.
    """
    real, fake, sums = [], [], []
    for degraded, clean in pairs:
        with torch.no_grad():
            restored = to_float32(system.generator(degraded))
            real.append(to_float32(system.discriminator(degraded, clean)).flatten())
        restored = restored.requires_grad_()
        verdict = to_float32(system.discriminator(degraded, restored))
        fake.append(verdict.detach().flatten())
        term = system.adversarial
        adversarial = term.weight * term.for_generator(verdict)
        pixel = system.weighted(system.pixel_losses(restored, clean))
        (g_adversarial,) = torch.autograd.grad(adversarial, restored)
        (g_pixel,) = torch.autograd.grad(pixel, restored)
        cosine = F.cosine_similarity(g_adversarial.flatten(), g_pixel.flatten(), dim=0)
        loss = (adversarial + pixel).detach()
        sums.append(torch.stack([g_adversarial.norm(), g_pixel.norm(), cosine, loss]))
    known = discrimination(torch.stack(real).cpu().numpy(), torch.stack(fake).cpu().numpy())
    names = ("g_adversarial", "g_pixel", "cosine", "loss")
    means = dict(zip(names, torch.stack(sums).double().mean(dim=0).tolist(), strict=True))
    return {"bits": known.bits, "low": known.low, "auc": known.auc, **means}


def _windows(pair: Pair, side: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Degraded and clean parts, (1, 3, side, side), side by side from the upper left corner."""
    height, width = pair["clean"].shape[-2:]
    for top, left in product(range(0, height - side + 1, side), range(0, width - side + 1, side)):
        part = slice(None), slice(top, top + side), slice(left, left + side)
        yield pair["degraded"][part][None], pair["clean"][part][None]
