"""What D knows and what G still hears of it, on held-out windows (section VI.3, Fig. 7)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_whole
from ir_lightning.data.module import EvaluationPairs
from ir_lightning.data.pair_maker import Pair
from ir_lightning.errors import UsageError
from ir_lightning.statistics.imbalance import FOLDS, discrimination
from ir_lightning.systems.restoration import to_float32

FEWEST = 2 * FOLDS

Pairs = Iterator[tuple[Tensor, Tensor]]
"""Degraded and clean windows, each (1, 3, h, w) in [0, 1], all of one size."""


class Balance(Callback):
    """Adds to ``metrics.csv`` what it measures on windows of validation images.

    Every ``every`` iterations, the losses (:func:`held_out_losses`): ``balance/generator``,
    ``balance/adversarial`` and ``balance/discriminator``, which are to these windows what
    ``train/generator`` and so on are to a batch, and ``balance/chance``, D's loss when it knows
    nothing.

    At every validation, D's knowledge and the gradients (:func:`measured`):

    - ``balance/bits``, ``/low``, ``/auc``: J_D of D's scores with its lower limit, and their AUC
      (:func:`.imbalance.discrimination`);
    - ``balance/g_adversarial``, ``balance/g_pixel``: the norm of the gradient of the weighted
      adversarial term, and of the pixel terms, at the restored image; ``balance/cosine`` between
      the two. Each is the mean over windows.

    Windows, their degradations and random numbers are always the same, and networks are in
    evaluation mode, so that two values differ by what was trained between them. Nothing of the
    training changes. A system without a discriminator has nothing to measure.

    Args:
        windows: parts of validation images that do not overlap, four or more; fewer are taken where
            there are fewer. The error of J_D is that between windows.
        side: of a window, in pixels; less where an image is smaller.
        every: iterations from one measurement of the losses to the next.

    Raises:
        UsageError: fewer than four windows are asked for; or, when training starts, are there.
    """

    def __init__(self, windows: int, side: int, every: int) -> None:
        self.windows = check_whole("windows", windows, FEWEST)
        self.side = check_whole("side", side, 1)
        self.every = check_whole("every", every, 1)
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

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if pl_module.iteration % self.every == 0:
            self._log(trainer, pl_module, held_out_losses)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._log(trainer, pl_module, measured)

    def _log(
        self, trainer: Trainer, system: Any, measure: Callable[[Any, Pairs], dict[str, float]]
    ) -> None:
        if not self.pairs or not trainer.is_global_zero:
            return
        device = system.device
        with evaluating(system):
            values = measure(system, ((x.to(device), y.to(device)) for x, y in self.pairs))
        named = {f"balance/{name}": value for name, value in values.items()}
        for logger in trainer.loggers:
            logger.log_metrics(named, step=system.iteration)


@contextmanager
def evaluating(system: nn.Module) -> Iterator[None]:
    """Evaluation mode and the same random numbers each time, without a trace in the training."""
    modes = {module: module.training for module in system.modules()}
    system.eval()
    with isolate_rng():
        torch.manual_seed(0)
        yield
    for module, mode in modes.items():
        module.training = mode


@torch.no_grad()
def held_out_losses(system: Any, pairs: Pairs) -> dict[str, float]:
    """The losses of an :class:`.AdversarialSystem`, each the mean over windows.

    ``generator`` is G's whole objective (eq. 16 of arXiv 2212.02198), ``adversarial`` the part that
    D decides, without its weight, and ``discriminator`` D's objective (eq. 17). ``chance`` is D's
    objective when it cannot tell restored from clean, and all its logits are the boundary between
    the two: log 2 for cross-entropy, 1/4 for least squares.
    """
    term, sums = system.adversarial, []
    for degraded, clean in pairs:
        restored = to_float32(system.generator(degraded))
        real, fake = system.judge_both(degraded, clean, restored)
        losses = {"adversarial": term.for_generator(fake)}
        losses |= system.pixel_losses(restored, clean)
        unsure = torch.full_like(real, getattr(term, "boundary", 0.0))
        sides = term.for_discriminator(real, fake), term.for_discriminator(unsure, unsure)
        sums.append(torch.stack([system.weighted(losses), losses["adversarial"], *sides]))
    return _means(("generator", "adversarial", "discriminator", "chance"), sums)


@torch.enable_grad()
def measured(system: Any, pairs: Pairs) -> dict[str, float]:
    """What D knows, and the gradients that G is given, in an :class:`.AdversarialSystem`."""
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
        sums.append(torch.stack([g_adversarial.norm(), g_pixel.norm(), cosine]))
    known = discrimination(torch.stack(real).cpu().numpy(), torch.stack(fake).cpu().numpy())
    means = _means(("g_adversarial", "g_pixel", "cosine"), sums)
    return {"bits": known.bits, "low": known.low, "auc": known.auc, **means}


def _means(names: Sequence[str], windows: Sequence[Tensor]) -> dict[str, float]:
    """Of vectors with a value for each name, one for each window."""
    means = torch.stack([*windows]).double().mean(dim=0).tolist()
    return dict(zip(names, means, strict=True))


def _windows(pair: Pair, side: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Degraded and clean parts, (1, 3, side, side), side by side from the upper left corner."""
    height, width = pair["clean"].shape[-2:]
    for top, left in product(range(0, height - side + 1, side), range(0, width - side + 1, side)):
        part = slice(None), slice(top, top + side), slice(left, left + side)
        yield pair["degraded"][part][None], pair["clean"][part][None]
