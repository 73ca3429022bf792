"""The two ways of training a step that are compared, equal at the start."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import SimpleNamespace

import torch
from torch import Tensor

from benchmarks.published import Pix2Pix
from ir_lightning.build import build
from ir_lightning.launch.config import load_config
from ir_lightning.launch.preflight import resolve
from ir_lightning.systems.adversarial import AdversarialSystem
from ir_lightning.training.callbacks.speed import lay_out, on_wide_images
from ir_lightning.training.graph import CUDAGraph, RecordedSteps, Recording
from ir_lightning.training.memory import without_trainer


def batch(size: int, crop: int, device: str = "cpu") -> dict[str, Tensor]:
    """Random images in [0, 1]: the time of a step does not depend on what they show."""
    random = torch.Generator().manual_seed(0)
    degraded, clean = torch.rand(2, size, 3, crop, crop, generator=random).to(device)
    return {"degraded": degraded, "clean": clean}


def our_system(overrides: Sequence[str], device: str = "cpu") -> AdversarialSystem:
    """The system of train.py with these overrides, which trains by itself."""
    torch.manual_seed(0)
    config = resolve(load_config(["logger=csv", *overrides]))
    system: AdversarialSystem = build(config["system"], "system")
    system.to(device)
    without_trainer(system)
    return system


def our_step(
    system: AdversarialSystem, images: dict[str, Tensor], computed: torch.dtype | None = None
) -> Callable[[], None]:
    """One iteration, in autocast if another type than the weights' is to be computed in."""
    device = images["clean"].device.type
    named = {"name": [""] * len(images["clean"]), **images}

    def step() -> None:
        with torch.autocast(device, computed) if computed else nullcontext():
            system.training_step(named, 0)

    return step


def let_record(
    system: AdversarialSystem, wide: bool, new: Callable[[], Recording] = CUDAGraph
) -> RecordedSteps:
    """Let a system that trains by itself take its iterations from a recording.

    ``wide``: the channels of a pixel side by side.
    """
    if wide:
        lay_out(system, torch.channels_last)
    uncounted = SimpleNamespace(state_dict=dict, load_state_dict=dict)
    loop = SimpleNamespace(manual_optimization=SimpleNamespace(optim_step_progress=uncounted))
    system._trainer = SimpleNamespace(  # type: ignore[assignment]
        world_size=1,
        callbacks=[],
        precision_plugin=None,
        optimizers=system.optimizers(),
        strategy=SimpleNamespace(_lightning_optimizers=[]),
        fit_loop=SimpleNamespace(epoch_loop=loop),
    )
    recorded = RecordedSteps(system, new)
    system.take_step = on_wide_images(recorded) if wide else recorded
    return recorded


def published_like(system: AdversarialSystem, depth: int, width: int) -> Pix2Pix:
    """The published step with the weights of ``system``, a plain U-Net and PatchGAN."""
    device = str(system.device)
    published = Pix2Pix(depth, width, device)
    for theirs, ours in (
        (published.generator, system.generator),
        (published.discriminator, system.discriminator),
    ):
        for mine, yours in zip(theirs.parameters(), ours.parameters(), strict=True):
            mine.data.copy_(yours)
    return published


def published_step(published: Pix2Pix, images: dict[str, Tensor]) -> Callable[[], object]:
    """One iteration of it on the same images."""
    degraded, clean = images["degraded"] * 2 - 1, images["clean"] * 2 - 1
    return lambda: published.step(degraded, clean)
