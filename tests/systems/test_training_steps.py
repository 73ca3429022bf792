"""The training steps are eq. 16-18 in pix2pix's order: one G forward, a D step, a G step."""

import functools
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ir_lightning.errors import DivergedError, UsageError
from ir_lightning.losses.adversarial import LeastSquares, Vanilla
from ir_lightning.losses.pixel import L1, MSE
from ir_lightning.systems.adversarial import AdversarialSystem
from ir_lightning.systems.evaluation import Evaluation
from ir_lightning.systems.optimization import ConstantThenLinear, Optimization
from ir_lightning.systems.restoration import RegressionSystem
from tests.conftest import quiet_trainer

ITERATIONS = 6
ADAM = functools.partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, degraded: Tensor) -> Tensor:
        return torch.sigmoid(self.layer(degraded))


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(6, 1, 3)
        self.calls = 0
        self.independent = False

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        self.calls += 1
        return self.layer(torch.cat([degraded, image], dim=1))


EVALUATION = Evaluation(["rgb8"])


def optimization(gradient_clip: float | None = None) -> Optimization:
    return Optimization(ADAM, ConstantThenLinear(0.5), ITERATIONS, 1, gradient_clip)


def networks() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    return Generator(), Discriminator()


def batches() -> list[dict[str, Any]]:
    random = torch.Generator().manual_seed(1)
    pairs = [torch.rand(2, 2, 3, 16, 16, generator=random) for _ in range(ITERATIONS)]
    return [{"name": ["a", "b"], "degraded": pair[0], "clean": pair[1]} for pair in pairs]


def fit(system: Any) -> None:
    trainer = quiet_trainer()
    trainer.fit(system, DataLoader(batches(), batch_size=None))


def rate(iteration: int) -> float:
    """pix2pix: constant for the first half, then a straight line to zero."""
    return 2e-4 * min(1.0, 2 * (1 - iteration / ITERATIONS))


def weights(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def bce(logits: Tensor, target: float) -> Tensor:
    p = torch.sigmoid(logits)
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


@pytest.mark.parametrize("independent", [False, True], ids=["apart", "in one pass"])
@pytest.mark.parametrize("kind", ["lsgan", "gan"])
def test_adversarial_training_is_the_textbook_loop(kind: str, independent: bool) -> None:
    g, d = networks()
    g_adam, d_adam = ADAM(g.parameters()), ADAM(d.parameters())
    for iteration, batch in enumerate(batches()):
        x, y = batch["degraded"], batch["clean"]
        for adam in (g_adam, d_adam):
            adam.param_groups[0]["lr"] = rate(iteration)
        fake = g(x)
        real_logits, fake_logits = d(x, y), d(x, fake.detach())
        if kind == "lsgan":  # eq. 17
            d_loss = 0.5 * ((real_logits - 1) ** 2).mean() + 0.5 * (fake_logits**2).mean()
        else:
            d_loss = 0.5 * (bce(real_logits, 1) + bce(fake_logits, 0))
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        verdict = d(x, fake)
        adversarial = ((verdict - 1) ** 2).mean() if kind == "lsgan" else bce(verdict, 1)
        # eq. 16 and 18, on pix2pix's [-1, 1]
        g_loss = adversarial + 100 * ((2 * fake - 1) - (2 * y - 1)).abs().mean()
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()

    generator, discriminator = networks()
    discriminator.independent = independent
    adversarial_term = LeastSquares(weight=1.0) if kind == "lsgan" else Vanilla(weight=1.0)
    terms = {"adversarial": adversarial_term, "l1": L1(weight=100.0)}
    system = AdversarialSystem(generator, discriminator, terms, optimization(), EVALUATION)
    fit(system)

    assert system.iteration == ITERATIONS
    torch.testing.assert_close(weights(generator), weights(g), rtol=0, atol=1e-6)
    torch.testing.assert_close(weights(discriminator), weights(d), rtol=0, atol=1e-6)
    assert discriminator.calls == (2 if independent else 3) * ITERATIONS


def test_regression_training_is_gradient_descent_on_the_weighted_sum() -> None:
    g, _ = networks()
    adam = ADAM(g.parameters())
    for iteration, batch in enumerate(batches()):
        adam.param_groups[0]["lr"] = rate(iteration)
        error = 2 * (g(batch["degraded"]) - batch["clean"])
        adam.zero_grad()
        (3 * (error**2).mean() + 0.5 * error.abs().mean()).backward()
        adam.step()

    generator, _ = networks()
    terms = {"mse": MSE(weight=3.0), "l1": L1(weight=0.5), "adversarial": None}
    fit(RegressionSystem(generator, terms, optimization(), EVALUATION))
    torch.testing.assert_close(weights(generator), weights(g), rtol=0, atol=1e-6)


def test_the_generator_step_leaves_no_gradient_in_the_discriminator() -> None:
    generator, discriminator = networks()
    terms = {"adversarial": LeastSquares(weight=1.0), "l1": L1(weight=100.0)}
    system = AdversarialSystem(generator, discriminator, terms, optimization(), EVALUATION)
    gradients = []

    class Watch(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            grads = [p.grad for p in discriminator.parameters()]
            gradients.append([grad.clone() for grad in grads if grad is not None])

    watched = functools.partial(Watch, lr=0.0)
    system.optimization = Optimization(watched, ConstantThenLinear(), ITERATIONS, 1)
    fit(system)
    after_d, after_g = gradients[0], gradients[1]
    assert all(torch.equal(a, b) for a, b in zip(after_d, after_g, strict=True))
    assert all(p.requires_grad for p in discriminator.parameters())


class Norms:
    """Makes optimizers that note the norm of the gradients they are given, and change nothing."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def __call__(self, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
        norms = self.seen

        class Watch(torch.optim.SGD):
            def step(self, closure: Any = None) -> None:
                if closure is not None:
                    closure()  # as an optimizer must: Lightning's hooks come from it
                gradients = [p.grad for group in self.param_groups for p in group["params"]]
                norms.append(torch.stack([g.norm() for g in gradients]).norm().item())

        return Watch(parameters, lr=0.0)


def gradient_norms(clip: float | None, plugin: MixedPrecision | None = None) -> list[float]:
    """Of D and G by turns, as their optimizers see them."""
    norms = Norms()
    optimization = Optimization(norms, ConstantThenLinear(), ITERATIONS, 1, clip)
    # Smooth ones: the slope of an L1 loss jumps where float16 rounds a difference to zero.
    terms = {"adversarial": LeastSquares(weight=1.0), "mse": MSE(weight=100.0)}
    system = AdversarialSystem(*networks(), terms, optimization, EVALUATION)
    trainer = quiet_trainer(**({"plugins": plugin} if plugin else {}))
    trainer.fit(system, DataLoader(batches(), batch_size=None))
    return norms.seen


def float16(scale: float = 2.0**8) -> MixedPrecision:
    """``trainer.precision=16-mixed``, which Lightning itself gives to GPUs alone."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return MixedPrecision("16-mixed", "cpu", scaler=scaler)


def test_gradient_clipping_bounds_the_norm_of_each_network() -> None:
    norms, free = gradient_norms(0.25), gradient_norms(None)
    assert len(norms) == 2 * ITERATIONS
    assert norms == pytest.approx([0.25] * len(norms), rel=1e-4)
    assert min(free) > 0.25, "the bound was reached"


@pytest.mark.parametrize("clip", [None, 0.25, 5.0, 1e4])
def test_gradients_are_clipped_in_16_mixed_as_in_float32(clip: float | None) -> None:
    assert gradient_norms(clip, float16()) == pytest.approx(gradient_norms(clip), rel=5e-3)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("clip", [None, 0.25])
def test_16_mixed_trains_what_float32_trains(fused: bool, clip: float | None) -> None:
    ends = []
    for plugin in (None, float16()):
        generator, discriminator = networks()
        adam = functools.partial(ADAM, fused=fused, eps=1e-3)  # steps follow the gradient's size
        terms = {"adversarial": LeastSquares(weight=1.0), "l1": L1(weight=100.0)}
        chosen = Optimization(adam, ConstantThenLinear(), ITERATIONS, 1, clip)
        system = AdversarialSystem(generator, discriminator, terms, chosen, EVALUATION)
        trainer = quiet_trainer(**({"plugins": plugin} if plugin else {}))
        trainer.fit(system, DataLoader(batches(), batch_size=None))
        ends.append(torch.cat([weights(generator), weights(discriminator)]))
    start = torch.cat([weights(network) for network in networks()])
    whole, half = (end - start for end in ends)
    assert (whole - half).norm() < 0.02 * whole.norm()


def test_steps_that_16_mixed_skips_are_no_divergence() -> None:
    plugin = float16(scale=2.0**40)
    generator, discriminator = networks()
    terms = {"adversarial": LeastSquares(weight=1.0), "l1": L1(weight=100.0)}
    system = AdversarialSystem(generator, discriminator, terms, optimization(), EVALUATION)
    before = weights(generator)
    trainer = quiet_trainer(plugins=plugin)
    trainer.fit(system, DataLoader(batches() * 5, batch_size=None))
    system.require_finite()
    assert plugin.scaler is not None
    assert plugin.scaler.get_scale() < 2.0**40
    assert not torch.equal(weights(generator), before), "then it trains"


def test_gradients_that_no_scale_makes_finite_are_a_divergence() -> None:
    class Cliff(nn.Module):
        weight = 1.0

        def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
            return (restored - restored).abs().sqrt().mean()  # 0, with an infinite slope

    generator, _ = networks()
    system = RegressionSystem(generator, {"cliff": Cliff()}, optimization(), EVALUATION)
    trainer = quiet_trainer(plugins=float16())
    trainer.fit(system, DataLoader(batches() * 8, batch_size=None))
    with pytest.raises(DivergedError, match=r"no loss scale.*iteration 48"):
        system.require_finite()


def test_the_rate_is_constant_and_then_falls_to_zero() -> None:
    schedule = ConstantThenLinear(constant=0.5)
    assert [schedule(p) for p in (0.0, 0.25, 0.49)] == [1.0, 1.0, 1.0]
    assert schedule(0.75) == pytest.approx(0.5)
    assert schedule(0.999) == pytest.approx(0.002)
    assert ConstantThenLinear(constant=1.0)(0.99) == 1.0
    with pytest.raises(UsageError, match="constant=2"):
        ConstantThenLinear(constant=2.0)
