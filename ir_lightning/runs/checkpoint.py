"""Saving and continuing a training, by iteration."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from ir_lightning.files import atomic_write
from ir_lightning.runs.curve import CurveLogger

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"


class Checkpoints(Callback):
    """After each validation: the training in ``last.ckpt``, the best generator in ``best.ckpt``.

    Lightning's own checkpoint counts optimizer steps and replays the start of an epoch after a
    resume in its middle. This one stores the iteration; order, crops and degradations are pure
    functions of it, so the continued run is the uninterrupted one.

    Args:
        directory: ``checkpoints/`` of the run.
        curve: the training curve, brought up to date with each checkpoint.
    """

    def __init__(self, directory: Path, curve: CurveLogger) -> None:
        self.directory = directory
        self.curve = curve
        self.best: dict[str, float] | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        psnr = trainer.callback_metrics["val/psnr"].item()
        if self.best is None or psnr > self.best["psnr"]:
            self.best = {"psnr": psnr, "iteration": pl_module.iteration}
            weights = {"generator": pl_module.generator.state_dict(), **self.best}
            self._save(weights, self.directory / BEST)
        last = self.directory / LAST
        if last.exists():
            last.replace(self.directory / PREVIOUS)
        self._save(self._state(pl_module), last)
        self.curve.save()

    def _state(self, system: Any) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {
            "iteration": system.iteration,
            "system": system.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers_of(system)],
            "best": self.best,
            "random": {"cpu": torch.get_rng_state(), "cuda": cuda},
        }

    def _save(self, state: dict[str, Any], path: Path) -> None:
        with atomic_write(path, "wb") as file:
            torch.save(state, file)


def optimizers_of(system: Any) -> list[Optimizer]:
    """The system's optimizers as a list, be it one or two."""
    optimizers = system.optimizers(use_pl_optimizer=False)
    return optimizers if isinstance(optimizers, list) else [optimizers]


def load_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values only, never code."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class Resume(Callback):
    """Puts the optimizers and random states of a checkpoint back before the first iteration.

    Args:
        state: what :class:`Checkpoints` saved.
        checkpoints: the callback that goes on saving; it learns the best score so far.
    """

    def __init__(self, state: dict[str, Any], checkpoints: Checkpoints) -> None:
        self.state = state
        checkpoints.best = state["best"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        system: Any = pl_module
        for optimizer, saved in zip(optimizers_of(system), self.state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(self.state["random"]["cpu"])
        if self.state["random"]["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(self.state["random"]["cuda"])
