"""The pixel losses against their formulas, gradients included."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ir_lightning.losses.pixel import L1, MSE


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    restored, clean = torch.rand(2, 2, 3, 5, 7, dtype=torch.double) * 2 - 1
    return restored.requires_grad_(), clean


def gradient(tensor: torch.Tensor) -> NDArray[np.float64]:
    assert tensor.grad is not None
    return tensor.grad.numpy()


def test_l1_is_equation_18() -> None:
    restored, clean = pair()
    loss = L1(weight=100.0)(restored, clean)
    loss.backward()
    error = (restored - clean).detach().numpy()
    np.testing.assert_allclose(loss.item(), np.abs(error).mean())
    np.testing.assert_allclose(gradient(restored), np.sign(error) / error.size)


def test_mse_is_the_mean_of_squares() -> None:
    restored, clean = pair()
    loss = MSE(weight=7.0)(restored, clean)
    loss.backward()
    error = (restored - clean).detach().numpy()
    np.testing.assert_allclose(loss.item(), (error**2).mean())
    np.testing.assert_allclose(gradient(restored), 2 * error / error.size)


@pytest.mark.parametrize("kind", [L1, MSE])
def test_a_loss_carries_its_weight_and_is_perfect_at_zero(kind: type[L1] | type[MSE]) -> None:
    loss = kind(weight=3.0)
    _, clean = pair()
    assert loss.weight == 3.0
    assert kind().weight == 1.0
    assert loss(clean, clean) == 0
