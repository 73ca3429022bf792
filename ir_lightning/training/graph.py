"""A whole iteration recorded once on the GPU, and repeated without Python between its operations.

At batch 1 an iteration is hundreds of small operations, and to ask for one takes the CPU longer
than it takes the GPU. https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs/
"""

import warnings
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import torch
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from ir_lightning.systems.restoration import Losses, RestorationSystem

WARM_UP = 3  # iterations before one is recorded: until then operations choose how they compute
MOST = 8  # recordings of a run; what changes more often than that is not worth one
HOOKS = (
    *("on_before_backward", "on_after_backward", "on_before_zero_grad"),
    "on_before_optimizer_step",
)
"""Those of callbacks that Lightning calls within an iteration; a recording would pass them by."""


class Recording(Protocol):
    """Operations that can be repeated on the same memory."""

    def warm_up(self, work: Callable[[], Losses]) -> Losses:
        """Carry out ``work`` as it will be recorded."""

    def record(self, work: Callable[[], Losses]) -> Losses:
        """Record ``work``, and carry it out; what it returns is overwritten by each ``repeat``."""

    def repeat(self) -> None:
        """Carry it out again."""


class CUDAGraph:
    """A recording on the GPU.

    Raises:
        RuntimeError: on ``record``, where an operation waits for the host or cannot be recorded.
    """

    def __init__(self) -> None:
        self.graph = torch.cuda.CUDAGraph()
        # Of its own: gradients remember the stream that they were first added up on.
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def warm_up(self, work: Callable[[], Losses]) -> Losses:
        before = torch.cuda.current_stream()
        self.stream.wait_stream(before)
        with torch.cuda.stream(self.stream):
            made = work()
        before.wait_stream(self.stream)
        return made

    def record(self, work: Callable[[], Losses]) -> Losses:
        before = torch.cuda.current_stream()
        try:
            # Other threads may go on pinning batches meanwhile.
            mode = "thread_local"
            with torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode=mode):
                made = work()
        finally:
            torch.cuda.set_stream(before)  # a recording that fails leaves its own
        self.graph.replay()
        return made

    def repeat(self) -> None:
        self.graph.replay()


class RecordedSteps:
    """Takes the iterations of a system (its ``step``) from a recording, once there is one.

    The same operations in the same order on the same memory: batches are copied into the images
    that were recorded, learning rates are tensors. Whatever else the operations depend on (sizes,
    the system's ``phase``, which weights are trained, settings of the optimizers) asks for another
    recording when it changes. What cannot be recorded is computed as usual, to the end.

    Args:
        system: within a fit of its trainer.
        new: makes an empty recording.

    Attributes:
        refusal: why nothing is recorded any more; None as long as all goes well.
    """

    def __init__(self, system: RestorationSystem, new: Callable[[], Recording] = CUDAGraph) -> None:
        self.system, self.new = system, new
        self.recording: Recording | None = None
        self.key: Hashable = None
        self.warmed = self.count = 0
        self.images: tuple[Tensor, Tensor]
        self.losses: Losses
        self.refusal: str | None = None
        reason = unrecordable(system) or _let_rates_be_tensors(system.trainer.optimizers)
        if reason:
            self._refuse(reason)

    def __call__(self, degraded: Tensor, clean: Tensor) -> Losses:
        """One iteration; the losses hold until the next one."""
        if self.refusal:
            return self.system.step(degraded, clean)
        key = self._depends_on(degraded, clean)
        if key != self.key or self.recording is None:
            self.key, self.recording, self.warmed = key, self.new(), 0
            self.count += 1
            if self.count > MOST:
                self._refuse("they change all the time")
                return self.system.step(degraded, clean)
        if self.warmed < WARM_UP:
            self.warmed += 1
            return self.recording.warm_up(lambda: self.system.step(degraded, clean))
        if self.warmed == WARM_UP:
            return self._record(self.recording, degraded, clean)
        self._place(degraded, clean)
        self.recording.repeat()
        for optimizer in self.system.trainer.strategy._lightning_optimizers:
            optimizer._on_before_step()  # Lightning counts them
            optimizer._on_after_step()
        return self.losses

    def _record(self, recording: Recording, degraded: Tensor, clean: Tensor) -> Losses:
        self.images = degraded.clone(), clean.clone()
        steps = self.system.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        counted = steps.state_dict()
        self._drop_gradients()  # the recording has its own
        kind = degraded.device.type
        try:
            # Autocast's weights in half precision would be those from before the recording.
            with torch.autocast(
                kind,
                torch.get_autocast_dtype(kind),
                torch.is_autocast_enabled(kind),
                cache_enabled=False,
            ):
                self.losses = recording.record(lambda: self.system.step(*self.images))
        except Exception as error:
            steps.load_state_dict(counted)
            self._refuse((str(error).splitlines() or [type(error).__name__])[0])
            return self.system.step(degraded, clean)
        self.warmed += 1
        return self.losses

    def forget(self) -> None:
        """Let go of the recording and its memory."""
        self.key = self.recording = None
        self._drop_gradients()

    def _refuse(self, reason: str) -> None:
        self.refusal = reason
        self.forget()
        warnings.warn(
            "speed.graph: iterations are not recorded, but computed one operation after the other, "
            f"since {reason}.",
            stacklevel=2,
        )

    def _drop_gradients(self) -> None:
        for optimizer in self.system.trainer.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def _place(self, *batch: Tensor) -> None:
        for image, new in zip(self.images, batch, strict=True):
            image.copy_(new, non_blocking=True)

    def _depends_on(self, degraded: Tensor, clean: Tensor) -> Hashable:
        images = [(x.shape, x.dtype, x.stride()) for x in (degraded, clean)]
        groups = _groups(self.system.trainer.optimizers)
        weights = [(p.data_ptr(), p.requires_grad) for group in groups for p in group["params"]]
        moved = ("params", "lr")
        settings = [str({k: v for k, v in group.items() if k not in moved}) for group in groups]
        return (*images, self.system.phase, *weights, *settings)


def unrecordable(system: RestorationSystem) -> str | None:
    """Why an iteration of a system cannot be recorded, as far as that is known beforehand."""
    trainer = system.trainer
    if trainer.world_size > 1:
        return "several processes train together"
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        return "the loss scale of 16-mixed depends on what has been computed"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        for hook in HOOKS:
            if is_overridden(hook, callback):
                return f"{type(callback).__name__} looks into each iteration ({hook})"
    return None


def _let_rates_be_tensors(optimizers: list[Any]) -> str | None:
    """Prepare optimizers to be recorded; or why one cannot be."""
    groups = _groups(optimizers)
    if not all("capturable" in group for group in groups):
        return f"{type(optimizers[0]).__name__} cannot be recorded"
    for group in groups:
        device = group["params"][0].device
        group["capturable"] = True
        group.setdefault("initial_lr", float(group["lr"]))
        group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=device)
    for optimizer in optimizers:
        for weight, state in optimizer.state.items():
            if isinstance(count := state.get("step"), Tensor):
                state["step"] = count.to(weight.device)
    return None


def _groups(optimizers: list[Any]) -> list[dict[str, Any]]:
    return [group for optimizer in optimizers for group in optimizer.param_groups]


def plain_rates(states: list[dict[str, Any]]) -> None:
    """Make states of optimizers those of an iteration that nobody records, as they are saved."""
    for state in states:
        for group in state["param_groups"]:
            group["lr"] = float(group["lr"])
            if "capturable" in group:
                group["capturable"] = False
