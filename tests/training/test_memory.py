"""The estimate is what a real step allocates, and what cannot fit is refused in one sentence."""

import gc
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor, nn
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader

from ir_lightning.build import build
from ir_lightning.errors import UsageError
from ir_lightning.launch.preflight import resolve
from ir_lightning.training.memory import (
    GIB,
    Estimate,
    Memory,
    Unknown,
    available,
    estimate,
    refuse_too_large,
)
from tests.conftest import SMALL, Compose, quiet_trainer

pytestmark = pytest.mark.slow

Plain = Callable[..., dict[str, Any]]

STEPS = {
    "unet": ("depth=5",),
    "deep": ("depth=7",),
    "infoaccum": ("depth=3", "enhancer=infoaccum", "enhancer.layers=8"),
    "subpixel": ("depth=3", "enhancer=dense", "enhancer.positions=[2]", "upsampler=subpixel"),
    "encoder_decoder": ("depth=5", "generator=encoder_decoder"),
    "regression": ("depth=5", "loss=mse"),
    "batch": (
        "depth=4",
        "norm=batch",
        "loss=gan",
        "budget.batch=4",
        "optimization.gradient_clip=1.0",
    ),
    "padded": ("depth=6", "budget.crop=100", "generator.dropout=0.5"),
    "mixed": ("depth=4", "enhancer=infoaccum", "enhancer.layers=8", "trainer.precision=bf16-mixed"),
    "half": ("depth=4", "trainer.precision=bf16-true"),
}


@pytest.fixture
def plain(composed: Compose) -> Plain:
    """``plain("depth=3", ...)``: a configuration as the training receives it."""

    def make(*overrides: str) -> dict[str, Any]:
        sizes = ("width=16", "budget.crop=128", "trainer.accelerator=cpu")
        return resolve(composed(*SMALL, *sizes, *overrides))

    return make


def known(config: dict[str, Any]) -> Estimate:
    need = estimate(config)
    assert isinstance(need, Estimate), need
    return need


def peak_allocated(work: Callable[[], object]) -> int:
    """The most bytes that torch's CPU allocator had given away at a time while ``work`` ran.

    Of each event the allocator's own running total is read. Adding up the events by their time
    goes wrong now and then: on a busy machine the profiler's clock has put them in another order.
    """
    gc.collect()  # what earlier measurements left would be freed, and subtracted, in this one
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        work()
    assert watched.profiler
    pending: list[Any] = list(watched.profiler.kineto_results.experimental_event_tree())
    after, before = [], []
    while pending:
        event = pending.pop()
        pending += event.children
        if event.tag == _EventType.Allocation:
            fields = event.typed[1]
            after.append(fields.total_allocated)
            before.append(fields.total_allocated - fields.alloc_size)
    return max(after) - min(before)


def really_allocated(config: dict[str, Any]) -> int:
    """The peak, in bytes, of two real iterations."""
    shape = (config["budget"]["batch"], 3, config["budget"]["crop"], config["budget"]["crop"])
    precision: Any = config["trainer"]["precision"]
    trainer = quiet_trainer(precision=precision)

    class Batches(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 2  # in the second one, the optimizers have state and there are old gradients

        def __getitem__(self, index: int) -> dict[str, Any]:
            names = [""] * shape[0]
            return {"name": names, "degraded": torch.rand(shape), "clean": torch.rand(shape)}

    batches = DataLoader(Batches(), batch_size=None)
    return peak_allocated(lambda: trainer.fit(build(config["system"], "system"), batches))


@pytest.mark.parametrize("kind", STEPS)
def test_the_estimate_is_what_a_real_step_allocates(plain: Plain, kind: str) -> None:
    config = plain(*STEPS[kind])
    need, real = known(config), really_allocated(config)
    assert need.total == pytest.approx(real, rel=0.07)
    assert need.certain <= 1.01 * real  # or a training that fits would be refused


@pytest.mark.parametrize("options", [("norm=batch",), ("loss=l1", "enhancer=infoaccum")])
def test_weights_and_gradients_are_counted_exactly(plain: Plain, options: tuple[str, ...]) -> None:
    config = plain("depth=5", *options)
    system = build(config["system"], "system")
    sizes = [p.nbytes for p in system.parameters()]
    need = known(config)
    assert need.weights == sum(sizes) + sum(b.nbytes for b in system.buffers())
    assert need.gradients == sum(sizes)
    assert need.optimizer == 2 * sum(sizes) + 4 * len(sizes)  # Adam's moments and counts of steps


@pytest.mark.parametrize(("momentum", "share"), [(0.0, 0), (0.9, 1)])
def test_an_optimizer_is_asked_what_it_remembers(plain: Plain, momentum: float, share: int) -> None:
    config = plain("depth=2")
    sgd = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1, "momentum": momentum}
    config["system"]["optimization"]["optimizer"] = sgd
    need = known(config)
    assert need.optimizer == share * need.gradients


def test_more_of_anything_needs_more(plain: Plain) -> None:
    asked = ["depth=3", "enhancer=infoaccum", "enhancer.layers=0"]
    less = known(plain(*asked))
    for more in ("enhancer.layers=1", "enhancer.layers=8", "budget.crop=256", "budget.batch=8"):
        asked.append(more)
        need = known(plain(*asked))
        assert need.total > less.total, more
        assert need.certain > less.certain, more
        less = need


@pytest.mark.parametrize("options", [("enhancer=infoaccum",), ("generator=encoder_decoder",)])
def test_activations_grow_with_the_pixels_and_weights_do_not(
    plain: Plain, options: tuple[str, ...]
) -> None:
    one = known(plain("depth=3", *options))
    twice = known(plain("depth=3", "budget.batch=2", *options))
    wide = known(plain("depth=3", "budget.crop=256", *options))
    assert twice.weights == wide.weights == one.weights
    assert twice.activations == pytest.approx(2 * one.activations, rel=0.02)
    assert wide.activations == pytest.approx(4 * one.activations, rel=0.04)


def test_bf16_halves_the_features(plain: Plain) -> None:
    full, mixed, half = (
        known(plain("depth=4", "budget.crop=256", f"trainer.precision={precision}"))
        for precision in ("32-true", "bf16-mixed", "bf16-true")
    )
    assert mixed.weights == full.weights
    assert half.weights == pytest.approx(full.weights / 2, rel=0.01)
    assert half.activations == pytest.approx(full.activations / 2, rel=0.15)
    assert half.activations < mixed.activations < 0.8 * full.activations


def test_it_takes_no_memory_and_leaves_no_trace(plain: Plain) -> None:
    config = plain("depth=8", "width=64", "enhancer=infoaccum", "budget.crop=512")
    state, needs = torch.get_rng_state(), []
    assert peak_allocated(lambda: needs.append(known(config))) < 2**20
    assert needs[0].total > 2 * GIB
    assert torch.equal(torch.get_rng_state(), state)


class Peeking(nn.Module):
    """A generator that looks at its data, which meta tensors have not got."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, degraded: Tensor) -> Tensor:
        return degraded * self.scale if degraded.mean().item() > 0 else degraded


@pytest.mark.parametrize("target", [f"{__name__}.Peeking", f"{__name__}.Absent"])
def test_a_part_that_needs_data_is_unknown_and_never_refused(plain: Plain, target: str) -> None:
    config = plain("depth=2")
    config["system"]["generator"] = {"_target_": target}
    need = estimate(config)
    assert isinstance(need, Unknown)
    assert re.search("DataDependent|Absent", need.reason)
    assert "\n" not in need.reason
    refuse_too_large(config, need, Memory(0, "this computer"))


def test_what_cannot_fit_is_refused_in_one_sentence(plain: Plain) -> None:
    config = plain("depth=2", "enhancer=infoaccum", "budget.batch=3")
    need = Estimate(1 * GIB, 2 * GIB, 3 * GIB, 4 * GIB, workspace=5 * GIB)
    refuse_too_large(config, need, Memory(10 * GIB, "GPU"))  # kernels can do without workspace
    with pytest.raises(UsageError) as refused:
        refuse_too_large(config, need, Memory(10 * GIB - 1, "NVIDIA H100"))
    assert str(refused.value) == (
        "This training needs 15.0 GiB of memory (activations 4.0, weights 1.0, gradients 2.0, "
        "optimizer 3.0, workspace 5.0), and NVIDIA H100 has 10.0: lower budget.crop=128, "
        "budget.batch=3, generator.depth=2, generator.width=16, enhancer.layers=15 or "
        "enhancer.growth=8."
    )


def test_a_refusal_names_only_keys_that_can_be_lowered(plain: Plain) -> None:
    config = plain("depth=2", "budget.crop=8192")
    with pytest.raises(
        UsageError, match=r": lower budget\.crop=8192, .*depth=2 or generator\.width=16\.$"
    ):
        refuse_too_large(config, known(config), Memory(8 * GIB, "this computer"))
    config = plain("depth=2", "budget.crop=8192", "enhancer=residual")
    with pytest.raises(UsageError, match=r"width=16, enhancer\.blocks=12 or .*width=16\.$"):
        refuse_too_large(config, known(config), Memory(8 * GIB, "this computer"))


def test_the_device_is_the_one_that_would_be_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = SimpleNamespace(total_memory=80 * GIB, name="NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: gpu)
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        for accelerator in ("auto", "gpu", "cuda", "cpu", "mps"):
            on_gpu = there and accelerator in ("auto", "gpu", "cuda")
            expected = 80 * GIB if on_gpu else psutil.virtual_memory().total
            assert available(accelerator).bytes == expected
    assert available("auto").device == "this computer"
