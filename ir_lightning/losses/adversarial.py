"""The game between generator and discriminator: each loss has a side for both, a mean of logits."""

from abc import ABC, abstractmethod
from collections.abc import Hashable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_number, written
from ir_lightning.errors import UsageError


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
        """Called before each iteration, counted from 0; for a loss that changes with time.

        What it becomes may depend on these two numbers only, or a continued run would differ.
        """

    @property
    def phase(self) -> Hashable:
        """What the loss has become by ``begin``: the same for iterations that compute the same.

        A GPU records an iteration once for each phase. A loss that does not say it is always
        another one, and nothing is recorded.
        """
        return None if type(self).begin is Adversarial.begin else object()

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


class Switch(Adversarial):
    """Plays ``first`` up to a share of the budget, and ``then`` for the rest.

    Section V of arXiv 2212.02198 suggests "more sensitive measures of loss functions in the later
    stages of training"; section VI.3 takes least squares for one. Nothing but the iteration decides
    which loss is in force.

    Args:
        first: the loss in the iterations whose progress, iteration / iterations, is below ``at``.
        then: the loss from there on.
        at: share of the budget, 0 (``then`` at once) to 1 (``first`` throughout).
        weight: share of both in the generator's objective, times the weight of the one in force.

    Raises:
        UsageError: ``at`` is no share, or a loss is not an :class:`Adversarial`.
    """

    def __init__(
        self, first: Adversarial, then: Adversarial, at: float = 0.5, weight: float = 1.0
    ) -> None:
        super().__init__(weight)
        for key, loss in (("first", first), ("then", then)):
            # Said now: a loss that cannot play would end the training half-way through.
            if not isinstance(loss, Adversarial):
                raise UsageError(f"{key}={loss!r}: give an adversarial loss.")
        if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at <= 1:
            raise UsageError(
                f"at={written(at)}: give the share of the iterations, from 0 to 1, after "
                "which the second loss takes over."
            )
        self.first, self.then = first, then
        self.at, self.share = at, weight
        self.begin(0, 1)

    @property
    def current(self) -> Adversarial:
        """The loss in force."""
        return self.then if self.late else self.first

    @property
    def phase(self) -> Hashable:
        return self.late, self.current.phase

    def begin(self, iteration: int, iterations: int) -> None:
        # Divided, not multiplied: 55 / 100 is the float 0.55, while 0.55 * 100 is more than 55.
        self.late = iteration / iterations >= self.at
        self.current.begin(iteration, iterations)
        self.boundary = self.current.boundary
        self.weight = self.share * self.current.weight

    def for_generator(self, fake_logits: Tensor) -> Tensor:
        return self.current.for_generator(fake_logits)

    def for_discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return self.current.for_discriminator(real_logits, fake_logits)
