"""The pix2pix-style GAN: a generator that restores, a discriminator that is hard to please."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.optim import Optimizer

from ir_lightning.systems.recipe import Recipe
from ir_lightning.systems.restoration import Batch, RestorationSystem


class AdversarialSystem(RestorationSystem):
    """Eq. 16-18: one forward pass of G, then a step of D, then a step of G.

    Args:
        generator: (B, 3, H, W) in [0, 1] to the same.
        discriminator: conditional, (degraded, image), both (B, 3, H, W) in [0, 1], to logits.
        loss: named terms; ``adversarial`` has a generator side and a discriminator side.
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

    def configure_optimizers(self) -> list[Optimizer]:
        networks = (self.generator, self.discriminator)
        return [self.recipe.optimizer(network.parameters()) for network in networks]

    def training_step(self, batch: Batch, _: int) -> None:
        degraded, clean = batch["degraded"], batch["clean"]
        optimizers: Any = self.optimizers()
        generator_optimizer, discriminator_optimizer = optimizers
        restored = self.generator(degraded)

        real = self.discriminator(degraded, clean).float()
        fake = self.discriminator(degraded, restored.detach()).float()
        discriminator_loss = self.adversarial.for_discriminator(real, fake)
        self.descend(discriminator_optimizer, discriminator_loss)

        with frozen(self.discriminator):
            verdict = self.discriminator(degraded, restored).float()
        losses = {"adversarial": self.adversarial.for_generator(verdict)}
        losses |= self.pixel_losses(restored, clean)
        generator_loss = self.weighted(losses)
        self.descend(generator_optimizer, generator_loss)

        self.finish_iteration(
            {"generator": generator_loss, "discriminator": discriminator_loss, **losses}
        )


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network without computing any for its own weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
