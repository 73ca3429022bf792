"""A loss that changes half-way is each of the two in its time, and a resumed run cannot tell."""

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ir_lightning.errors import UsageError
from ir_lightning.launch.preflight import check
from ir_lightning.launch.run import run
from ir_lightning.losses.adversarial import Adversarial, LeastSquares, Switch, Vanilla
from ir_lightning.systems.adversarial import AdversarialSystem
from ir_lightning.systems.evaluation import Evaluation
from ir_lightning.systems.optimization import ConstantThenLinear, Optimization
from tests.conftest import SMALL, Compose, quiet_trainer


def logits() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    real, fake = 3 * torch.randn(2, 2, 1, 4, 3, dtype=torch.double)
    return real, fake


def switch(**given: Any) -> Switch:
    return Switch(Vanilla(), LeastSquares(), **given)


def late(loss: Switch, iterations: int) -> list[bool]:
    """In which iterations the second loss plays."""
    found = []
    for iteration in range(iterations):
        loss.begin(iteration, iterations)
        found.append(loss.current is loss.then)
    return found


@pytest.mark.parametrize("iteration", [0, 3, 4, 9])
def test_the_closed_forms_before_and_after(iteration: int) -> None:
    real, fake = logits()
    loss = switch(at=0.4)
    loss.begin(iteration, 10)
    if iteration < 4:
        generator = -torch.sigmoid(fake).log().mean()
        both = torch.sigmoid(real).log().mean() + (1 - torch.sigmoid(fake)).log().mean()
        discriminator, boundary = -both / 2, 0.0
    else:
        generator = (fake - 1).square().mean()
        discriminator, boundary = ((real - 1).square().mean() + fake.square().mean()) / 2, 0.5
    torch.testing.assert_close(loss.for_generator(fake), generator)
    torch.testing.assert_close(loss.for_discriminator(real, fake), discriminator)
    assert loss.boundary == boundary


@pytest.mark.slow
def test_the_share_is_met_to_the_iteration() -> None:
    for iterations in (*range(1, 60), 100, 1000):
        for hundredths in range(0, 101):
            if hundredths * iterations % 100 == 0:
                first = late(switch(at=hundredths / 100), iterations).count(False)
                assert first == hundredths * iterations // 100, (iterations, hundredths)
    assert late(switch(at=0.5), 7) == [False] * 4 + [True] * 3
    assert late(switch(at=0), 3) == [True] * 3
    assert late(switch(at=1), 3) == [False] * 3
    assert late(switch(at=1), 1) == [False]


def test_only_the_iteration_counts() -> None:
    """Any order of questions gets the same answers: nothing is remembered."""
    loss, fresh = switch(at=0.5, weight=3.0), switch(at=0.5, weight=3.0)
    for iteration in (9, 0, 5, 4, 5, 9, 4, 4):
        loss.begin(iteration, 10)
        fresh.begin(iteration, 10)
        assert (loss.late, loss.boundary, loss.weight) == (iteration >= 5, fresh.boundary, 3.0)
        fresh = switch(at=0.5, weight=3.0)
    assert loss.state_dict() == {}


def test_it_can_be_used_before_it_is_told_anything() -> None:
    assert switch().current.__class__ is Vanilla
    assert switch(at=0).boundary == 0.5


def test_the_weights_multiply() -> None:
    loss = Switch(Vanilla(weight=2.0), LeastSquares(weight=0.5), at=0.5, weight=3.0)
    assert loss.weight == 6.0
    for _ in range(3):
        loss.begin(1, 2)
        assert loss.weight == 1.5
        loss.begin(0, 2)
        assert loss.weight == 6.0


def test_switches_can_be_stacked() -> None:
    loss = Switch(Vanilla(), Switch(LeastSquares(), Vanilla(weight=7.0), at=0.8), at=0.4)
    kinds = []
    for iteration in range(10):
        loss.begin(iteration, 10)
        kinds.append((loss.boundary, loss.weight))
    assert kinds == [(0.0, 1.0)] * 4 + [(0.5, 1.0)] * 4 + [(0.0, 7.0)] * 2


@pytest.mark.parametrize("at", [-0.1, 1.1, 1200, True, "half", None, float("nan")], ids=str)
def test_what_is_no_share_is_said_in_words(at: Any, composed: Compose) -> None:
    with pytest.raises(UsageError, match=r"^at="):
        switch(at=at)
    config = composed(*SMALL, "loss=gan_then_lsgan")
    config.loss.adversarial.at = at
    with pytest.raises(UsageError, match=r"loss\.adversarial\.at"):
        check(config)


def test_what_cannot_play_later_is_refused_now() -> None:
    with pytest.raises(UsageError, match=r"^then=MSELoss"):
        Switch(Vanilla(), nn.MSELoss())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^first=None"):
        Switch(None, Vanilla())  # type: ignore[arg-type]


class Sides:
    """An adversarial loss of one's own: two sides, a weight, nothing else."""

    weight = 1.0

    def for_generator(self, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()

    def for_discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return fake_logits.mean() - real_logits.mean()


class Told(Vanilla):
    """Writes down what it is told, and what is then asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def begin(self, iteration: int, iterations: int) -> None:
        self.seen.append((iteration, iterations))

    def for_discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        self.seen.append("discriminator")
        return super().for_discriminator(real_logits, fake_logits)

    def for_generator(self, fake_logits: Tensor) -> Tensor:
        self.seen.append("generator")
        return super().for_generator(fake_logits)


class Judge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(6, 1, 3)

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        return self.layer(torch.cat([degraded, image], dim=1))


def system(adversarial: Any, iterations: int) -> AdversarialSystem:
    adam = functools.partial(torch.optim.Adam, lr=1e-3)
    how = Optimization(adam, ConstantThenLinear(1.0), iterations, 1)
    torch.manual_seed(0)
    networks = nn.Conv2d(3, 3, 1), Judge()
    return AdversarialSystem(*networks, {"adversarial": adversarial}, how, Evaluation(["rgb8"]))


class Watch(Callback):
    """Keeps the weights after each training step."""

    def __init__(self) -> None:
        self.after: list[Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        parameters = [p.detach().flatten() for p in pl_module.parameters()]
        self.after.append(torch.cat(parameters))


def train(adversarial: Any, iterations: int) -> list[Tensor]:
    """The weights after each step of a tiny training."""
    random, watch = torch.Generator().manual_seed(1), Watch()
    pairs = [torch.rand(2, 1, 3, 8, 8, generator=random) for _ in range(iterations)]
    batches: Any = [{"name": ["a"], "degraded": x, "clean": y} for x, y in pairs]
    trainer = quiet_trainer(callbacks=[watch])
    trainer.fit(system(adversarial, iterations), DataLoader(batches, batch_size=None))
    return watch.after


def test_the_loss_is_told_the_iteration_at_the_top_of_each_step() -> None:
    told = Told()
    train(told, 3)
    sides = ["discriminator", "generator"]
    assert told.seen == [(0, 3), *sides, (1, 3), *sides, (2, 3), *sides]


def test_the_step_of_the_switch_is_the_second_loss_for_both_networks() -> None:
    """One step of D or G with the wrong loss would show in the weights."""

    class ByHand(Adversarial):
        """Vanilla for two steps, least squares for two: counts by itself."""

        def __init__(self) -> None:
            super().__init__()
            self.steps = 0

        def for_discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
            self.steps += 1
            self.boundary = 0.0 if self.steps <= 2 else 0.5
            return self.now().for_discriminator(real_logits, fake_logits)

        def for_generator(self, fake_logits: Tensor) -> Tensor:
            return self.now().for_generator(fake_logits)

        def now(self) -> Adversarial:
            return Vanilla() if self.steps <= 2 else LeastSquares()

    scheduled, by_hand, vanilla = (train(x, 4) for x in (switch(at=0.5), ByHand(), Vanilla()))
    assert [torch.equal(a, b) for a, b in zip(scheduled, by_hand, strict=True)] == [True] * 4
    same = [torch.equal(a, b) for a, b in zip(scheduled, vanilla, strict=True)]
    assert same == [True, True, False, False]


def test_the_accuracy_is_judged_by_the_loss_in_force() -> None:
    built = system(switch(at=0.5), 2)
    quarter = torch.full((1, 1, 2, 2), 0.25)  # real for cross-entropy, fake for least squares
    built.adversarial.begin(0, 2)
    assert built.discriminator_accuracy(quarter, -quarter) == 1
    built.adversarial.begin(1, 2)
    assert built.discriminator_accuracy(quarter, -quarter) == 0.5


def test_a_loss_of_ones_own_needs_the_two_sides_only() -> None:
    after = train(Sides(), 2)
    assert not torch.equal(after[0], after[1])


@pytest.mark.slow
def test_a_run_cut_before_and_after_the_switch_ends_as_the_undisturbed_one(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second loss takes over at iteration 4 (4/6 is the first share from 0.6 on).
    asked = (*SMALL, "seed=5", "budget.iterations=6", "budget.checkpoint_every=2")
    scheduled = (*asked, "loss=gan_then_lsgan", "loss.adversarial.at=0.6")
    run(composed(*scheduled, f"run_dir={tmp_path}/whole"), [])
    run(composed(*asked, "loss=gan", f"run_dir={tmp_path}/gan"), [])

    step = AdversarialSystem.training_step
    played: list[tuple[int, str]] = []

    def cut(at: int) -> Any:
        def training_step(self: AdversarialSystem, batch: Any, index: int) -> None:
            if self.iteration == at:
                raise RuntimeError("power cut")
            step(self, batch, index)
            played.append((self.iteration - 1, type(self.adversarial.current).__name__))

        return training_step

    config = composed(*scheduled, f"run_dir={tmp_path}/cut")
    for at in (3, 5):  # resumed at 2, before the switch; then at 4, after it
        monkeypatch.setattr(AdversarialSystem, "training_step", cut(at))
        with pytest.raises(RuntimeError, match="power cut"):
            run(config, [])
    monkeypatch.setattr(AdversarialSystem, "training_step", cut(-1))
    run(config, [])
    first, then = "Vanilla", "LeastSquares"
    attempts = [(0, first), (1, first), (2, first)], [(2, first), (3, first), (4, then)]
    assert played == [*attempts[0], *attempts[1], (4, then), (5, then)]

    ends = {
        name: torch.load(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"]
        for name in ("whole", "cut", "gan")
    }
    assert list(ends["whole"]) == list(ends["cut"])
    for name, value in ends["whole"].items():
        assert torch.equal(value, ends["cut"][name]), name
    different = [n for n, v in ends["whole"].items() if not torch.equal(v, ends["gan"][n])]
    assert different, "the second loss has trained nothing"
