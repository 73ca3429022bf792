"""What the balance callback writes is what the definitions say, and the training is untouched."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ir_lightning.build import build
from ir_lightning.errors import UsageError
from ir_lightning.launch.preflight import check, resolve
from ir_lightning.launch.run import run
from ir_lightning.statistics.imbalance import auc
from ir_lightning.training.callbacks.balance import (
    Balance,
    evaluating,
    held_out_losses,
    measured,
)
from tests.conftest import SMALL, Compose

pytestmark = pytest.mark.slow

ASKED = [
    *(entry for entry in SMALL if not entry.startswith("callbacks")),
    "depth=2",
    "budget.iterations=4",
    "budget.test_images=1",
]
BALANCED = "callbacks=[default,balance]"


def weights_of(runs: Path) -> dict[str, Any]:
    (path,) = runs.glob("*/generator.safetensors")
    return load_file(path)


def test_every_validation_adds_its_numbers_and_training_is_untouched(
    composed: Compose, tmp_path: Path
) -> None:
    with_it = [*ASKED, BALANCED, "callbacks.balance.every=1", f"paths.runs={tmp_path}/with"]
    without = [*ASKED, f"paths.runs={tmp_path}/without"]
    for asked in (with_it, without):
        run(composed(*asked), asked)
    first, second = (weights_of(tmp_path / name) for name in ("with", "without"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    (path,) = (tmp_path / "with").glob("*/metrics.csv")
    with path.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    validated = [row for row in rows if row["balance/bits"]]
    assert [row["iteration"] for row in validated] == ["2", "4"]
    assert all(row["val/psnr"] for row in validated)
    for loss in ("generator", "adversarial", "discriminator", "chance"):
        logged = [row["iteration"] for row in rows if row[f"balance/{loss}"]]
        assert logged == ["1", "2", "3", "4"]


@pytest.mark.parametrize("loss", ["gan", "lsgan"])
def test_gradients_in_closed_form(loss: str, composed: Compose) -> None:
    """|d (100 |x - y|)| on [-1, 1] is 200 / n per value; D's side by finite differences."""
    config = resolve(check(composed(*ASKED, f"loss={loss}")).config)
    torch.manual_seed(0)  # a step across the bend of a LeakyReLU is no derivative
    system = build(config["system"], "system").double().eval()
    system.adversarial.weight = 3.0
    random = torch.Generator().manual_seed(0)
    pairs = [torch.rand(2, 1, 3, 32, 32, generator=random).double() for _ in range(4)]
    found = measured(system, ((pair[0], pair[1]) for pair in pairs))
    size = 3 * 32 * 32
    assert found["g_pixel"] == pytest.approx(200 / size * np.sqrt(size))

    norms, real, fake = [], [], []
    for degraded, clean in pairs:
        with torch.no_grad():
            restored = system.generator(degraded)
            direction = torch.randn(restored.shape, generator=random, dtype=torch.double)

            def objective(image: torch.Tensor, degraded: torch.Tensor = degraded) -> float:
                logit = system.discriminator(degraded, image)
                if loss == "gan":
                    return float(torch.nn.functional.softplus(-logit).mean())
                return float((logit - 1).square().mean())

            real.append(system.discriminator(degraded, clean).numpy())
            fake.append(system.discriminator(degraded, restored).numpy())
        image = restored.clone().requires_grad_()
        logit = system.discriminator(degraded, image)
        value = (
            torch.nn.functional.softplus(-logit) if loss == "gan" else (logit - 1).square()
        ).mean()
        (gradient,) = torch.autograd.grad(value, image)
        step = 1e-6
        numeric = (
            objective(restored + step * direction) - objective(restored - step * direction)
        ) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(numeric, rel=1e-4)
        norms.append(float(gradient.norm()))
    assert found["g_adversarial"] == pytest.approx(3 * np.mean(norms))
    assert found["auc"] == pytest.approx(auc(np.array(real), np.array(fake)))
    assert -1 <= found["cosine"] <= 1


@pytest.mark.parametrize("loss", ["gan", "lsgan"])
def test_losses_are_equations_16_and_17(loss: str, composed: Compose) -> None:
    """On windows, as means; D's loss at chance is log 2 or 1/4."""
    config = resolve(check(composed(*ASKED, f"loss={loss}")).config)
    system = build(config["system"], "system").double().eval()
    system.adversarial.weight = 3.0
    random = torch.Generator().manual_seed(0)
    pairs = torch.rand(4, 2, 1, 3, 32, 32, generator=random).double()
    found = held_out_losses(system, ((pair[0], pair[1]) for pair in pairs))
    with torch.no_grad():
        x, y = pairs[:, 0, 0], pairs[:, 1, 0]
        restored = system.generator(x)
        real, fake = (system.discriminator(x, image).numpy() for image in (y, restored))
        l1 = 2 * float((restored - y).abs().mean())  # on [-1, 1]
    if loss == "gan":
        g, d = np.logaddexp(0, -fake), np.logaddexp(0, -real) + np.logaddexp(0, fake)
    else:
        g, d = (fake - 1) ** 2, (real - 1) ** 2 + fake**2
    assert found["adversarial"] == pytest.approx(g.mean())
    assert found["generator"] == pytest.approx(3 * g.mean() + 100 * l1)
    assert found["discriminator"] == pytest.approx(d.mean() / 2)
    assert found["chance"] == pytest.approx(np.log(2) if loss == "gan" else 0.25)


def test_values_differ_by_training_alone_and_leave_no_trace(composed: Compose) -> None:
    """Dropout and batch statistics are those of evaluation, whatever the training does."""
    noisy = ["generator.dropout=0.5", "norm=batch", "depth=4"]
    config = resolve(check(composed(*ASKED, *noisy, "loss=gan")).config)
    system = build(config["system"], "system")
    system.discriminator.eval()  # as it may be in somebody's training
    pairs = torch.rand(4, 2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    modes = [module.training for module in system.modules()]
    buffers = {name: value.clone() for name, value in system.named_buffers()}
    state = torch.get_rng_state()

    def values() -> dict[str, float]:
        with evaluating(system):
            torch.rand(1)  # by a network that draws numbers
            return held_out_losses(system, ((pair[0], pair[1]) for pair in pairs))

    assert values() == values()
    assert [module.training for module in system.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, buffers[name]) for name, value in system.named_buffers())


def test_too_few_windows_are_refused(composed: Compose) -> None:
    with pytest.raises(UsageError, match=r"windows=3: give a whole number of at least 4"):
        Balance(windows=3, side=32, every=1)
    rocket = [f"~dataset.validation.built_in.sources.{key}" for key in ("crops", "leaves")]
    asked = [*ASKED, BALANCED, "callbacks.balance.side=400", *rocket]
    with pytest.raises(UsageError, match=r"give a smaller callbacks\.balance\.side"):
        run(composed(*asked), asked)


def test_every_validation_image_has_its_share_of_the_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = [
        {kind: torch.full((3, 64, 64), n) for kind in ("degraded", "clean")} for n in range(4)
    ]
    monkeypatch.setattr(
        "ir_lightning.training.callbacks.balance.EvaluationPairs", lambda *_, **__: images
    )
    source = SimpleNamespace(source=None, make=None, order=None)
    trainer = SimpleNamespace(datamodule=SimpleNamespace(validation_pairs=source))
    balance = Balance(windows=4, side=32, every=1)  # each image has four
    balance.setup(trainer, cast(Any, SimpleNamespace(discriminator=None)), "fit")
    assert [int(clean[0, 0, 0, 0]) for _, clean in balance.pairs] == [0, 1, 2, 3]


def test_without_a_discriminator_there_is_nothing_to_measure(
    composed: Compose, tmp_path: Path
) -> None:
    asked = [*ASKED, BALANCED, "loss=mse"]
    run(composed(*asked), asked)
    (path,) = (tmp_path / "runs").glob("*/metrics.csv")
    assert "balance" not in path.read_text()
