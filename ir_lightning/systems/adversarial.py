"""The pix2pix-style GAN: a generator that restores, and a conditional discriminator."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ir_lightning.arguments import check_number, check_whole
from ir_lightning.systems.evaluation import Evaluation
from ir_lightning.systems.optimization import Optimization
from ir_lightning.systems.restoration import Batch, Losses, RestorationSystem, to_float32


class AdversarialSystem(RestorationSystem):
    """Eq. 16-18: one forward pass of G, then a step of D, then a step of G.

    Args:
        generator, optimization, evaluation: see :class:`RestorationSystem`.
        discriminator: conditional, (degraded, image), both (B, 3, H, W) in [0, 1], to logits. It
            may say that it is ``independent``: what it thinks of an image does not depend on others
            in the batch. Then it judges real and restored images in one pass.
        loss: named terms; ``adversarial`` has a generator side and a discriminator side. It may
            have a ``begin``, called with the iteration and their number before each step, with a
            ``phase`` (see :class:`.Adversarial`), and a ``boundary`` other than 0 between logits of
            real and of restored images.
        saturated_accuracy, saturated_iterations: D is saturated once its accuracy has exceeded
            this for so many iterations on end. This is recorded, and nothing is done about it.

    Raises:
        UsageError: one of the two is out of range.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: Mapping[str, Any],
        optimization: Optimization,
        evaluation: Evaluation,
        saturated_accuracy: float = 0.95,
        saturated_iterations: int = 500,
    ) -> None:
        super().__init__(generator, loss, optimization, evaluation)
        self.discriminator = discriminator
        self.adversarial = self.terms["adversarial"]
        self.saturated_accuracy = check_number("saturated_accuracy", saturated_accuracy, 0, 1)
        self.saturated_iterations = check_whole("saturated_iterations", saturated_iterations, 1)
        # Buffers, so that a continued run goes on counting.
        self.register_buffer("d_saturated_for", torch.zeros((), dtype=torch.int64))
        self.register_buffer("d_saturated_at", torch.zeros((), dtype=torch.int64))
        self.d_saturated_for: Tensor
        self.d_saturated_at: Tensor

    def configure_optimizers(self) -> list[Optimizer]:
        networks = (self.generator, self.discriminator)
        return [self.optimization.optimizer(network.parameters()) for network in networks]

    @property
    def phase(self) -> Hashable:
        unsaid = object() if hasattr(self.adversarial, "begin") else None  # never the same
        return getattr(self.adversarial, "phase", unsaid)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if begin := getattr(self.adversarial, "begin", None):  # only the two sides are required
            begin(self.iteration, self.optimization.iterations)
        super().on_train_batch_start(batch, batch_idx)

    def optimise(self, degraded: Tensor, clean: Tensor) -> Losses:
        generator_optimizer, discriminator_optimizer = cast(list[Any], self.optimizers())
        restored = self.generator(degraded)

        real, fake = self.judge_both(degraded, clean, restored.detach())
        discriminator_loss = self.adversarial.for_discriminator(real, fake)
        self.step_optimizer(discriminator_optimizer, discriminator_loss)
        accuracy = self.discriminator_accuracy(real, fake)

        with frozen(self.discriminator):
            verdict = to_float32(self.discriminator(degraded, restored))
        losses = {"adversarial": self.adversarial.for_generator(verdict)}
        losses |= self.pixel_losses(restored, clean)
        generator_loss = self.weighted(losses)
        self.step_optimizer(generator_optimizer, generator_loss)

        both = {"generator": generator_loss, "discriminator": discriminator_loss}
        return {**both, **losses, "discriminator_accuracy": accuracy}

    def judge_both(
        self, degraded: Tensor, clean: Tensor, restored: Tensor
    ) -> tuple[Tensor, Tensor]:
        """D's logits of clean and of restored images, in one pass where that is the same."""
        if getattr(self.discriminator, "independent", False):
            pairs = torch.cat([degraded, degraded]), torch.cat([clean, restored])
            real, fake = to_float32(self.discriminator(*pairs)).chunk(2)
            return real, fake
        real = to_float32(self.discriminator(degraded, clean))
        return real, to_float32(self.discriminator(degraded, restored))

    def discriminator_accuracy(self, real: Tensor, fake: Tensor) -> Tensor:
        """The share of patches that D classifies correctly, in [0, 1]; keeps count of saturation.

        ``d_saturated_at`` is the iteration at which D became saturated (section VI.3), or 0.
        """
        boundary = getattr(self.adversarial, "boundary", 0.0)
        accuracy = ((real > boundary).float().mean() + (fake <= boundary).float().mean()) / 2
        over = accuracy > self.saturated_accuracy
        # Not torch.where: it would fetch a 0 from the host, and wait for it.
        self.d_saturated_for.copy_((self.d_saturated_for + 1) * over)
        saturated = (self.d_saturated_for >= self.saturated_iterations) & (self.d_saturated_at == 0)
        self.d_saturated_at.copy_(torch.where(saturated, self.counted, self.d_saturated_at))
        return accuracy


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network without computing any for its own weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
