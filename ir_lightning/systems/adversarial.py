"""The pix2pix-style GAN: a generator that restores, a discriminator that is hard to please."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ir_lightning.systems.recipe import Recipe
from ir_lightning.systems.restoration import Batch, RestorationSystem, precise


class AdversarialSystem(RestorationSystem):
    """Eq. 16-18: one forward pass of G, then a step of D, then a step of G.

    Args:
        generator: (B, 3, H, W) in [0, 1] to the same.
        discriminator: conditional, (degraded, image), both (B, 3, H, W) in [0, 1], to logits.
        loss: named terms; ``adversarial`` has a generator side and a discriminator side. It may
            have a ``begin``, to be told the iteration, and a ``boundary`` other than 0.
        recipe: optimizer, schedule, budget and protocols.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: Mapping[str, Any],
        recipe: Recipe,
    ) -> None:
        super().__init__(generator, loss, recipe)
        self.discriminator = discriminator
        self.adversarial = self.terms["adversarial"]
        # Buffers, so that a continued run goes on counting.
        self.register_buffer("wins", torch.zeros((), dtype=torch.int64))
        self.register_buffer("won_at", torch.zeros((), dtype=torch.int64))
        self.wins: Tensor
        self.won_at: Tensor

    def configure_optimizers(self) -> list[Optimizer]:
        networks = (self.generator, self.discriminator)
        return [self.recipe.optimizer(network.parameters()) for network in networks]

    def training_step(self, batch: Batch, _: int) -> None:
        self.tell_progress()
        degraded, clean = batch["degraded"], batch["clean"]
        optimizers: Any = self.optimizers()
        generator_optimizer, discriminator_optimizer = optimizers
        restored = self.generator(degraded)

        real = precise(self.discriminator(degraded, clean))
        fake = precise(self.discriminator(degraded, restored.detach()))
        discriminator_loss = self.adversarial.for_discriminator(real, fake)
        self.descend(discriminator_optimizer, discriminator_loss)
        accuracy = self.judge_discriminator(real, fake)

        with frozen(self.discriminator):
            verdict = precise(self.discriminator(degraded, restored))
        losses = {"adversarial": self.adversarial.for_generator(verdict)}
        losses |= self.pixel_losses(restored, clean)
        generator_loss = self.weighted(losses)
        self.descend(generator_optimizer, generator_loss)

        told = {"discriminator_accuracy": accuracy}
        self.finish_iteration(
            {"generator": generator_loss, "discriminator": discriminator_loss, **losses, **told}
        )

    def tell_progress(self) -> None:
        """Let an adversarial loss that changes with time know the iteration."""
        begin = getattr(self.adversarial, "begin", None)  # the two sides are all that it must have
        if begin is not None:
            begin(self.iteration, self.recipe.iterations)

    def judge_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The share of patches that D tells apart, and whether it has won for good.

        D has won (the imbalance of section VI.3) when its accuracy has been over
        ``recipe.won_accuracy`` for ``recipe.won_iterations`` iterations on end. ``won_at`` is the
        iteration at which it first had, or 0. This is recorded, and nothing is done about it.
        """
        boundary = getattr(self.adversarial, "boundary", 0.0)
        accuracy = ((real > boundary).float().mean() + (fake <= boundary).float().mean()) / 2
        over = accuracy > self.recipe.won_accuracy
        self.wins = torch.where(over, self.wins + 1, 0)
        won = (self.wins >= self.recipe.won_iterations) & (self.won_at == 0)
        self.won_at = torch.where(won, self.iteration + 1, self.won_at)
        return accuracy


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network without computing any for its own weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
