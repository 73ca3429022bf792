"""The game between generator and discriminator: each loss has a side for both.

Logits have any shape; one that judges real is high. Each side is a plain mean over all of
them; the system multiplies the generator's side by ``weight``.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_number


class Adversarial(nn.Module, ABC):
    """An adversarial loss; ``weight`` is its share in the generator's objective.

    Attributes:
        boundary: logits above it judge "real"; it lies half-way between the two targets.
    """

    boundary = 0.0

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = check_number("weight", weight, 0)

    def begin(self, iteration: int, iterations: int) -> None:
        """Told before each iteration, counted from 0, how far the training is.

        A loss that changes with time overrides this. What it becomes may depend on these two
        numbers only, or a continued run would not be the uninterrupted one.
        """

    @abstractmethod
    def for_generator(self, fake_logits: Tensor) -> Tensor:
        """What the generator minimises, of D(x, G(x))."""

    @abstractmethod
    def for_discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """What the discriminator minimises, of D(x, y) and D(x, G(x))."""


class Vanilla(Adversarial):
    """Cross-entropy, non-saturating for G and halved for D, as in pix2pix (arXiv 1611.07004)."""

    def for_generator(self, fake_logits: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))

    def for_discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
        fake = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
        return (real + fake) / 2


class LeastSquares(Adversarial):
    """LSGAN: eq. 16 (without its L1 term) and eq. 17 of arXiv 2212.02198."""

    boundary = 0.5

    def for_generator(self, fake_logits: Tensor) -> Tensor:
        return F.mse_loss(fake_logits, torch.ones_like(fake_logits))

    def for_discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = F.mse_loss(real_logits, torch.ones_like(real_logits))
        fake = F.mse_loss(fake_logits, torch.zeros_like(fake_logits))
        return (real + fake) / 2
