"""Iterations that are recorded and repeated are the iterations of a training that is not."""

import warnings
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.utils.data import DataLoader

from ir_lightning.build import build
from ir_lightning.launch.preflight import resolve
from ir_lightning.losses.adversarial import LeastSquares
from ir_lightning.networks.meta import on_meta
from ir_lightning.systems.adversarial import AdversarialSystem
from ir_lightning.systems.restoration import RestorationSystem
from ir_lightning.training.graph import MOST, WARM_UP, RecordedSteps, plain_rates
from ir_lightning.training.memory import without_trainer
from tests.conftest import CONF, SMALL, Compose, quiet_trainer
from tests.helpers.recording import Tape, TapeRecording

ITERATIONS = 10
RATE = "optimizer.lr=0.000244140625"
"""2**-12: the same number in float32, as which rates lie on a GPU."""
CASES = {
    "unet": ("depth=5", "method=pix2pix"),
    "paper": ("depth=3", "enhancer=infoaccum", "enhancer.layers=4", "upsampler=subpixel"),
    "batch norm": ("depth=3", "norm=batch", "discriminator.norm=batch", "budget.batch=2"),
    "clipped": ("depth=2", "optimization.gradient_clip=0.5", "optimizer.lr=0.0078125"),
    "dropout": ("depth=6", "generator.dropout=0.5"),  # no smaller one has any
    "switch": ("depth=2", "loss=gan_then_lsgan"),
    "regression": ("depth=2", "loss=mse", "discriminator=none"),
    "multi-scale": ("depth=2", "discriminator=multi_scale"),
    "attention": ("depth=2", "enhancer=attention"),
    "saturated": ("depth=2", "system.saturated_accuracy=0.0", "system.saturated_iterations=2"),
    "mixed": ("depth=2", "trainer.precision=bf16-mixed"),
}


class Record(Callback):
    """Lets a system's iterations be taken from a tape."""

    def __init__(self) -> None:
        self.tapes: list[TapeRecording] = []
        self.steps: RecordedSteps

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        def new() -> TapeRecording:
            self.tapes.append(TapeRecording())
            return self.tapes[-1]

        self.steps = pl_module.take_step = RecordedSteps(pl_module, new)


class Losses(Callback):
    """Remembers what each iteration returned."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        finish = pl_module.finish_iteration

        def remembered(losses: dict[str, Tensor]) -> None:
            self.rows.append({name: loss.item() for name, loss in losses.items()})
            finish(losses)

        pl_module.finish_iteration = remembered


def images(config: dict[str, Any], sizes: Sequence[int]) -> list[dict[str, Any]]:
    random = torch.Generator().manual_seed(3)
    batch, made = config["budget"]["batch"], []
    for size in sizes:
        pair = torch.rand(2, batch, 3, size, size, generator=random)
        made.append({"name": [""] * batch, "degraded": pair[0], "clean": pair[1]})
    return made


def fit(
    config: dict[str, Any], *callbacks: Callback, sizes: Sequence[int] | None = None
) -> tuple[RestorationSystem, list[dict[str, float]]]:
    """Train the system of a configuration; its losses by iteration."""
    torch.manual_seed(0)
    system: RestorationSystem = build(config["system"], "system")
    losses = Losses()
    trainer = quiet_trainer(
        callbacks=[losses, *callbacks], precision=config["trainer"]["precision"]
    )
    sizes = sizes or [config["budget"]["crop"]] * ITERATIONS
    trainer.fit(system, DataLoader(images(config, sizes), batch_size=None))
    return system, losses.rows


def plain(composed: Compose, *overrides: str) -> dict[str, Any]:
    iterations = (f"budget.iterations={ITERATIONS}", "budget.log_every=3")
    usual = (RATE, "schedule=constant", "width=4")
    return resolve(composed(*SMALL, *iterations, *usual, *overrides))


def refused(
    config: dict[str, Any], because: str, *callbacks: Callback, sizes: Sequence[int] | None = None
) -> tuple[Record, Any]:
    """Train what is not recorded, which is said; the attempt, and the training."""
    record = Record()
    with pytest.warns(UserWarning, match=f"speed.graph: .* since {because}"):
        return record, fit(config, *callbacks, record, sizes=sizes)


def assert_same_training(one: Any, other: Any) -> None:
    assert one[1] == other[1]
    expected = other[0].state_dict()
    for name, value in one[0].state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert one[0].trainer.global_step == other[0].trainer.global_step


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_training_is_the_training(case: str, composed: Compose) -> None:
    config = plain(composed, *CASES[case])
    record = Record()
    recorded = fit(config, record)
    assert_same_training(recorded, fit(config))
    assert record.steps.refusal is None
    phases = 2 if case == "switch" else 1
    assert [tape.repeated for tape in record.tapes] == [
        ITERATIONS // phases - WARM_UP - 1 for _ in range(phases)
    ]


def test_a_falling_rate_is_followed(composed: Compose) -> None:
    config = plain(composed, "depth=2", "schedule=constant_then_linear", "schedule.constant=0.2")
    recorded, expected = fit(config, Record()), fit(config)
    constant = fit(plain(composed, "depth=2"), Record())
    fits = recorded, expected, constant
    ours, theirs, unchanged = (rows[-1]["generator"] for _, rows in fits)
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert ours != pytest.approx(unchanged, rel=1e-6)


def test_it_is_the_tape_that_trains(composed: Compose) -> None:
    """A check of the check: what Python would do in each iteration is not done again."""

    class Counting(Callback):
        calls = 0

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            optimise = pl_module.optimise

            def counted(*images: Tensor) -> Any:
                Counting.calls += 1
                return optimise(*images)

            pl_module.optimise = counted

    fit(plain(composed, "depth=2"), Counting(), Record())
    assert Counting.calls == WARM_UP + 1


def test_a_number_that_python_counts_would_be_seen(composed: Compose) -> None:
    class Ageing(Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            pl_module.weighted = lambda losses: sum(losses.values()) * (1 + pl_module.iteration)

    config = plain(composed, "depth=2")
    recorded, expected = fit(config, Ageing(), Record()), fit(config, Ageing())
    assert recorded[1] != expected[1]


def test_images_of_another_size_are_recorded_anew(composed: Compose) -> None:
    config = plain(composed, "depth=2", "generator.norm=instance")
    sizes = [32] * 5 + [48] * 5
    record = Record()
    assert_same_training(fit(config, record, sizes=sizes), fit(config, sizes=sizes))
    assert [tape.repeated for tape in record.tapes] == [1, 1]


def test_what_changes_all_the_time_is_not_recorded(composed: Compose) -> None:
    config = plain(composed, "depth=2")
    sizes = [32, 48] * 5
    record, recorded = refused(config, "they change all the time", sizes=sizes)
    assert_same_training(recorded, fit(config, sizes=sizes))
    assert len(record.tapes) == MOST + 1


class Unsaid(LeastSquares):
    """Changes with the iteration, and does not say to what."""

    def begin(self, iteration: int, iterations: int) -> None:
        self.target = iteration / iterations

    def for_generator(self, fake_logits: Tensor) -> Tensor:
        return (fake_logits - self.target).square().mean()


def test_a_loss_that_does_not_say_what_it_becomes_is_not_recorded(composed: Compose) -> None:
    config = plain(composed, "depth=2")
    config["system"]["loss"]["adversarial"] = {"_target_": f"{__name__}.Unsaid"}
    _, recorded = refused(config, "they change all the time")
    assert_same_training(recorded, fit(config))


class Waiting(LeastSquares):
    """Looks at a value in each iteration, which the host has to wait for."""

    def for_generator(self, fake_logits: Tensor) -> Tensor:
        scale = 2.0 if fake_logits.mean().item() > 0 else 1.0
        return super().for_generator(fake_logits) * scale


def test_what_cannot_be_recorded_is_computed_as_usual(composed: Compose) -> None:
    config = plain(composed, "depth=2")
    config["system"]["loss"]["adversarial"] = {"_target_": f"{__name__}.Waiting"}
    record, recorded = refused(config, "operation not permitted")
    # The tape had carried out the first half of the iteration, which a GPU would only note down.
    assert len(record.tapes) == 1
    assert record.steps.refusal
    assert record.steps.recording is None
    assert len(recorded[1]) == ITERATIONS
    assert recorded[0].trainer.global_step == 2 * ITERATIONS


def test_a_callback_that_looks_into_iterations_is_heeded(composed: Compose) -> None:
    seen = []

    class Looking(Callback):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            seen.append(pl_module.iteration)

    config = plain(composed, "depth=2")
    record, _ = refused(config, "Looking looks into each iteration", Looking())
    assert not record.tapes
    assert len(seen) == 2 * ITERATIONS


def test_an_optimizer_without_a_recordable_form_is_said(composed: Compose) -> None:
    config = plain(composed, "depth=2")
    config["system"]["optimization"]["optimizer"] = {
        "_target_": "torch.optim.SGD",
        "_partial_": True,
        "lr": 0.01,
    }
    _, recorded = refused(config, "SGD cannot be recorded")
    assert_same_training(recorded, fit(config))


def test_a_checkpoint_does_not_show_that_it_was_recorded(composed: Compose) -> None:
    config = plain(composed, "depth=2")
    states = []
    for callbacks in ([Record()], []):
        system, _ = fit(config, *callbacks)
        saved = [optimizer.state_dict() for optimizer in system.trainer.optimizers]
        plain_rates(saved)
        states.append(saved)
    for ours, theirs in zip(*states, strict=True):
        assert [{**group} for group in ours["param_groups"]] == theirs["param_groups"]
        for index, state in ours["state"].items():
            for key, value in state.items():
                assert torch.equal(value, theirs["state"][index][key])


def test_nothing_is_left_when_a_recording_is_forgotten(composed: Compose) -> None:
    record = Record()
    system, _ = fit(plain(composed, "depth=2"), record)
    record.steps.forget()
    assert all(p.grad is None for p in system.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert record.steps.refusal is None


def test_the_usual_system_waits_for_nothing(composed: Compose) -> None:
    """Every operation of an iteration of the paper's method, on a tape that refuses to wait."""
    record = Record()
    system, _ = fit(plain(composed, "method=unet5_infoaccum_subpixel", "enhancer.growth=1"), record)
    assert isinstance(system, AdversarialSystem)
    assert record.steps.refusal is None


GROUPS = ("generator", "enhancer", "upsampler", "discriminator", "loss")
PARTS = [
    *((group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))),
    ("method", "pix2pix_dropout"),
]


@pytest.mark.parametrize(("group", "option"), PARTS)
def test_no_part_fetches_anything_from_the_host(group: str, option: str, composed: Compose) -> None:
    """On ``meta``, a number that was made on the host is a tensor of another device."""
    more = ["loss=l1"] if (group, option) == ("discriminator", "none") else []
    depth = "depth=6" if group == "method" else "depth=2"  # the smallest that has dropout
    config = plain(composed, depth, f"{group}={option}", *more)
    with on_meta():
        system: RestorationSystem = build(config["system"], "system")
    without_trainer(system.to("meta"))

    def backward(_: Any, loss: Tensor) -> None:
        system.zero_grad()
        loss.backward()

    # Fused and capturable, Adam is CUDA's own.
    vars(system).update(step_optimizer=backward)
    crop = config["budget"]["crop"]
    images = torch.empty(2, 1, 3, crop, crop, device="meta")
    with Tape() as tape:
        system.step(*images)
    assert len(tape.operations) > 50
