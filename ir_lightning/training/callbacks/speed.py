"""How the same training is computed: in the same digits each time, or in the least time."""

import os
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn

from ir_lightning.systems.restoration import Losses
from ir_lightning.training.graph import RecordedSteps, plain_rates

WIDE = torch.channels_last


class Speed(Callback):
    """``speed=exact`` or ``fast``. All but the precision is about GPUs, and nothing on a CPU.

    Args:
        name: of the choice, as tables show it.
        precision: Lightning's, by way of ``trainer.precision``.
        reproducible: no TF32, and deterministic algorithms wherever PyTorch has them (it warns
            about others). If not: TF32, and the fastest algorithms for the sizes of the training.
        channels_last: networks and images with the channels of a pixel side by side.
        graph: an iteration is recorded once, as a CUDA graph, and repeated. What cannot be recorded
            is computed as usual, with one warning.
        degrade_on_gpu: synthetic degradations are computed on the GPU; their random numbers are
            drawn on the CPU, and are the same.
    """

    def __init__(
        self,
        name: str,
        precision: str,
        reproducible: bool,
        channels_last: bool,
        graph: bool,
        degrade_on_gpu: bool,
    ) -> None:
        self.name = name
        self.precision = precision
        self.reproducible = reproducible
        self.channels_last = channels_last
        self.graph = graph
        self.degrade_on_gpu = degrade_on_gpu
        self.recorded: RecordedSteps | None = None

    @property
    def fell_back(self) -> str | None:
        """Why iterations were not recorded although they should have been."""
        return self.recorded.refusal if self.recorded else None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if on_gpu(trainer):
            choose_algorithms(self.reproducible)

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if not on_gpu(trainer):
            return
        if self.channels_last:
            widen(pl_module, trainer.optimizers)
        if self.graph:
            self.recorded = RecordedSteps(pl_module)
        step = self.recorded or pl_module.step
        pl_module.take_step = on_wide_images(step) if self.channels_last else step
        self._search(True)

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._search(False)  # for each size of image it would take longer than it saves

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._search(trainer.state.fn == TrainerFn.FITTING and on_gpu(trainer))

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Give everything back: weights are saved as they lie, and a recording holds memory."""
        self._search(False)
        pl_module.take_step = pl_module.step
        if self.recorded:
            self.recorded.forget()
        if self.channels_last:
            lay_out(pl_module, torch.contiguous_format)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        plain_rates(checkpoint["optimizer_states"])

    def _search(self, on: bool) -> None:
        """Let cuDNN try its algorithms at each new size, and take the fastest."""
        torch.backends.cudnn.benchmark = on and not self.reproducible


def choose_algorithms(reproducible: bool) -> None:
    """For this process's GPU: the same digits each time, or speed."""
    torch.set_float32_matmul_precision("highest" if reproducible else "high")
    torch.backends.cudnn.allow_tf32 = not reproducible
    if reproducible:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.use_deterministic_algorithms(True, warn_only=True)


def widen(system: nn.Module, optimizers: list[Any]) -> None:
    """Lay out the weights, and what optimizers remember of each, channels last."""
    lay_out(system, WIDE)
    for optimizer in optimizers:
        for weight, state in optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    state[name] = torch.empty_like(weight).copy_(value)


def lay_out(system: nn.Module, form: torch.memory_format) -> None:
    """How the channels of weights and buffers with two sides lie in memory."""
    for tensor in (*system.parameters(), *system.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=form)


def on_wide_images(step: Any) -> Any:
    """The same step, given its images with the channels of a pixel side by side."""

    def wide(degraded: Tensor, clean: Tensor) -> Losses:
        losses: Losses = step(
            degraded.contiguous(memory_format=WIDE), clean.contiguous(memory_format=WIDE)
        )
        return losses

    return wide


def on_gpu(trainer: Trainer) -> bool:
    """Whether this process trains on a GPU."""
    return bool(trainer.strategy.root_device.type == "cuda")
