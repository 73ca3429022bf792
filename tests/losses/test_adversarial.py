"""The adversarial losses against the formulas of the papers, gradients included."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ir_lightning.losses.adversarial import Adversarial, LeastSquares, Vanilla


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    real, fake = 3 * torch.randn(2, 2, 1, 4, 3, dtype=torch.double)
    return real.requires_grad_(), fake.requires_grad_()


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def gradient(tensor: torch.Tensor) -> NDArray[np.float64]:
    assert tensor.grad is not None
    return tensor.grad.numpy()


def test_least_squares_is_equation_16_for_the_generator() -> None:
    _, fake = logits()
    loss = LeastSquares().for_generator(fake)
    loss.backward()
    d = fake.detach().numpy()
    np.testing.assert_allclose(loss.item(), ((d - 1) ** 2).mean())
    np.testing.assert_allclose(gradient(fake), 2 * (d - 1) / d.size)


def test_least_squares_is_equation_17_for_the_discriminator() -> None:
    real, fake = logits()
    loss = LeastSquares().for_discriminator(real, fake)
    loss.backward()
    r, f = real.detach().numpy(), fake.detach().numpy()
    np.testing.assert_allclose(loss.item(), 0.5 * ((r - 1) ** 2).mean() + 0.5 * (f**2).mean())
    np.testing.assert_allclose(gradient(real), (r - 1) / r.size)
    np.testing.assert_allclose(gradient(fake), f / f.size)


def test_vanilla_is_non_saturating_for_the_generator() -> None:
    _, fake = logits()
    loss = Vanilla().for_generator(fake)
    loss.backward()
    d = fake.detach().numpy()
    np.testing.assert_allclose(loss.item(), -np.log(sigmoid(d)).mean())
    np.testing.assert_allclose(gradient(fake), (sigmoid(d) - 1) / d.size)


def test_vanilla_is_half_the_cross_entropy_for_the_discriminator() -> None:
    real, fake = logits()
    loss = Vanilla().for_discriminator(real, fake)
    loss.backward()
    r, f = real.detach().numpy(), fake.detach().numpy()
    expected = -(np.log(sigmoid(r)).mean() + np.log(1 - sigmoid(f)).mean()) / 2
    np.testing.assert_allclose(loss.item(), expected)
    np.testing.assert_allclose(gradient(real), (sigmoid(r) - 1) / (2 * r.size))
    np.testing.assert_allclose(gradient(fake), sigmoid(f) / (2 * f.size))


@pytest.mark.parametrize("kind", [Vanilla, LeastSquares])
def test_the_sides_pull_apart_and_stay_finite(kind: type[Adversarial]) -> None:
    loss = kind(weight=0.5)
    assert loss.weight == 0.5
    high, low = torch.full((1, 1, 2, 2), 200.0), torch.full((1, 1, 2, 2), -200.0)
    assert loss.for_generator(low) > 100
    assert loss.for_discriminator(low, high) > 100
    assert loss.for_discriminator(low, high).isfinite()
