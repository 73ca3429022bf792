"""Saving and continuing a training, by iteration and by time."""

import io
import random
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from ir_lightning.errors import DataError
from ir_lightning.files import atomic_write
from ir_lightning.runs.legacy import current_system_state
from ir_lightning.training.loggers.curve import CurveLogger

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"

State = dict[str, Any]
"""``iteration``; ``due``: whether a validation is still to follow; ``system``; ``optimizers``;
``best``: score and iteration of the best generator so far; ``random``: all random states."""


class Checkpoints(Callback):
    """After each validation: the training in ``last.ckpt``, the best generator in ``best.ckpt``.
    Between validations, ``last.ckpt`` again after so many minutes.

    Lightning's own checkpoint counts optimizer steps and replays the start of an epoch after a
    resume in its middle. This one stores the iteration; order, crops and degradations are pure
    functions of it, so the continued run is the uninterrupted one.

    Args:
        directory: ``checkpoints/`` of the run.
        curve: the training curve, brought up to date before each checkpoint.
        guard: raises when the run must not be written to any more.
        validate_every: iterations between validations.
        seconds: the most that a power cut may cost.
        resumed: the state that the run continues from.
    """

    def __init__(
        self,
        directory: Path,
        curve: CurveLogger,
        guard: Callable[[], None],
        validate_every: int,
        seconds: float,
        resumed: State | None = None,
    ) -> None:
        self.directory = directory
        self.curve = curve
        self.guard = guard
        self.validate_every = validate_every
        self.seconds = seconds
        self.resumed = resumed
        self.best: dict[str, float] | None = resumed["best"] if resumed else None
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        late = time.monotonic() - self.saved_at > self.seconds
        if late and trainer.is_global_zero and not self.due(pl_module):
            self.save(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.require_finite()
        psnr = trainer.callback_metrics["val/psnr"].item()
        better = self.best is None or psnr > self.best["psnr"]
        if better:
            self.best = {"psnr": psnr, "iteration": pl_module.iteration}
        if not trainer.is_global_zero:
            return
        if better:
            self._write({"generator": pl_module.generator.state_dict(), **(self.best or {})}, BEST)
        self.save(trainer, pl_module, due=False)

    def due(self, system: Any) -> bool:
        """Whether a validation follows the iteration that has just ended."""
        last = system.iteration == system.optimization.iterations
        return last or system.iteration % self.validate_every == 0

    def save(self, trainer: Trainer, system: Any, due: bool | None = None) -> None:
        """Write ``last.ckpt``; the one that it has been becomes ``previous.ckpt``.

        Args:
            trainer: to know whether it trains already.
            system: what is trained.
            due: whether a validation is still to follow; None: as the iteration says.
        """
        system.require_finite()
        self.curve.save()  # first: a curve may go further than its checkpoint, never less far
        state = self._state(trainer, system) | {"best": self.best}
        state["due"] = self.due(system) if due is None else due
        self._write(state, LAST, keep=self.directory / PREVIOUS)
        self.saved_at = time.monotonic()

    def _state(self, trainer: Trainer, system: Any) -> State:
        if self.resumed and not trainer.optimizers:
            return self.resumed  # a validation that was still due; no step has been taken since
        return {
            "iteration": system.iteration,
            "system": system.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers_of(system)],
            "random": random_states(),
        }

    def _write(self, state: State, name: str, keep: Path | None = None) -> None:
        self.guard()
        whole = io.BytesIO()  # torch turns a full disk into an error that does not say so
        torch.save(state, whole)
        with atomic_write(self.directory / name, "wb", keep) as file:
            file.write(whole.getbuffer())


def optimizers_of(system: Any) -> list[Optimizer]:
    """The system's optimizers as a list, be it one or two."""
    optimizers = system.optimizers(use_pl_optimizer=False)
    return optimizers if isinstance(optimizers, list) else [optimizers]


def random_states() -> dict[str, Any]:
    """Every random state of this process, as plain values and tensors."""
    name, keys, *rest = np.random.get_state(legacy=True)
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "cpu": torch.get_rng_state(),
        "cuda": cuda,
        "numpy": [name, torch.from_numpy(np.asarray(keys).copy()), *rest],
        "python": random.getstate(),
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Put back what :func:`random_states` returned."""
    torch.set_rng_state(states["cpu"])
    if len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy(), *rest))
    random.setstate(states["python"])


def load_state(path: Path) -> State:
    """Read a checkpoint: tensors and plain values only, never code.

    Raises:
        DataError: it is damaged, or holds something else.
    """
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such checkpoint.") from None
    except Exception as error:  # torch, pickle and zipfile each have their own
        whole = zipfile.is_zipfile(path)
        what = "it holds more than tensors and plain values" if whole else "it is damaged"
        raise DataError(f"{path} is not read: {what} ({type(error).__name__}).") from None
    if "system" in state:
        state["system"] = current_system_state(state["system"])
    return state


def load_latest(directory: Path) -> State | None:
    """The newest checkpoint of a run that can be read; None when there is none at all.

    Raises:
        DataError: there are some, but none can be read.
    """
    present = [directory / name for name in (LAST, PREVIOUS) if (directory / name).exists()]
    problems = []
    for path in present:
        try:
            state = load_state(path)
        except DataError as error:
            problems.append(str(error))
        else:
            for problem in problems:
                warnings.warn(f"{problem} Going on from {path.name} before it.", stacklevel=2)
            return state
    if problems:
        raise DataError(f"{' '.join(problems)} rerun=true begins the run anew.")
    return None


class Resume(Callback):
    """Puts the optimizers and random states of a checkpoint back before the first iteration.

    Args:
        state: what :class:`Checkpoints` saved.
    """

    def __init__(self, state: State) -> None:
        self.state = state

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        system: Any = pl_module
        for optimizer, saved in zip(optimizers_of(system), self.state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        set_random_states(self.state["random"])
