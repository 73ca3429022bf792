"""Saving and resuming a training, by iteration and by time."""

import io
import pickle
import random
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import __version__ as lightning_version
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from ir_lightning.errors import DataError, UsageError
from ir_lightning.files import atomic_write
from ir_lightning.runs.legacy import current_system_state
from ir_lightning.runs.record import NETWORKS
from ir_lightning.training.loggers.local import CurveLogger

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"

Guard = Callable[[], None]
State = dict[str, Any]
"""Lightning's checkpoint, no loops, and ``iteration``; ``best``: metric, value and iteration
of the best generator; ``random``: all random states."""


class Checkpoints(Callback):
    """Before each validation, and every so many minutes: the training in ``last.ckpt``. After each
    validation that is the best so far: the generator in ``best.ckpt``, and the discriminator that
    stood beside it.

    A resumed run begins with the validation that follows its checkpoint, if any. So nothing is
    saved within one, where callbacks count and weights may be replaced by their average. It stands
    behind the callbacks whose states it saves: they have seen the iteration, too.

    The ``curve`` is brought up to date before each checkpoint; ``guard`` raises when the run must
    not be written to any more; ``seconds`` is the most that a power cut may cost.
    """

    def __init__(
        self, directory: Path, curve: CurveLogger, guard: Guard, validate_every: int, seconds: float
    ) -> None:
        self.directory, self.curve, self.guard = directory, curve, guard
        self.validate_every, self.seconds = validate_every, seconds
        self.best: dict[str, Any] | None = None
        self.random: dict[str, Any] | None = None
        self.saved_at = time.monotonic()
        self.saved_iteration = 0

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: State) -> None:
        own = {"iteration": pl_module.iteration, "best": self.best, "random": random_states()}
        checkpoint.update(own)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: State) -> None:
        self.saved_iteration = checkpoint["iteration"]
        self.best = best_of(checkpoint)
        self.random = checkpoint["random"]

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self.random:  # only now: Lightning's preparations have drawn numbers
            set_random_states(self.random)
        refuse_objects({c.state_key: c.state_dict() for c in trainer.callbacks})  # type: ignore[attr-defined]
        self._validate_at_the_end(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        last = self._validate_at_the_end(trainer, pl_module)
        validated = last or pl_module.iteration % self.validate_every == 0
        if validated:
            pl_module.require_finite()  # in all processes, which would wait for each other
        late = time.monotonic() - self.saved_at > self.seconds
        if (validated or late) and trainer.is_global_zero:
            self.save(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        evaluation = pl_module.evaluation
        value = trainer.callback_metrics[f"val/{evaluation.choose_by}"].item()
        if self.best is not None and not evaluation.better(value, self.best["value"]):
            return
        iteration = pl_module.iteration
        self.best = {"metric": evaluation.choose_by, "value": value, "iteration": iteration}
        if trainer.is_global_zero:
            networks = {k: each.state_dict() for k, each in networks_of(pl_module).items()}
            self._write(to_bytes({**networks, **self.best}), BEST)

    def save(self, trainer: Trainer, system: Any) -> None:
        """Write ``last.ckpt``, once an iteration; the former one becomes ``previous.ckpt``.

        Raises:
            DivergedError: a loss or weight is not finite; the former checkpoint stays.
            UsageError: the state of a callback is neither tensors nor plain values.
        """
        if self.saved_iteration == system.iteration:
            return
        system.require_finite()
        self.curve.save()  # first: a curve may go further than its checkpoint, never less far
        state = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        del state["loops"]  # the iteration says where they are
        try:
            whole = to_bytes(state)
        except NOT_PLAIN as error:
            refuse_objects(state["callbacks"])
            raise UsageError(
                f"callbacks: one adds to the checkpoint ({error}) what is neither a tensor nor a "
                "plain value; let its on_save_checkpoint add only those."
            ) from None
        self._write(whole, LAST, keep=self.directory / PREVIOUS)
        self.saved_at = time.monotonic()
        self.saved_iteration = system.iteration

    def _validate_at_the_end(self, trainer: Trainer, system: Any) -> bool:
        """Let Lightning validate after the last iteration, whatever its number; is it that?"""
        last: bool = system.iteration == system.optimization.iterations
        if last:
            trainer.val_check_batch = 1
        return last

    def _write(self, whole: memoryview, name: str, keep: Path | None = None) -> None:
        self.guard()
        with atomic_write(self.directory / name, "wb", keep) as file:
            file.write(whole)


NOT_PLAIN = (AttributeError, TypeError, pickle.PickleError)  # how pickle and torch refuse an object


def to_bytes(state: Mapping[str, Any]) -> memoryview:
    """A checkpoint as it is written; ``NOT_PLAIN`` if :func:`load_state` could not read it."""
    whole = io.BytesIO()  # torch turns a full disk into an error that does not say so
    torch.save(state, whole)
    whole.seek(0)
    torch.load(whole, map_location="meta", weights_only=True)  # its structure: milliseconds
    return whole.getbuffer()


def refuse_objects(states: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse callbacks whose states (``state_dict`` by ``state_key``) only code could read.

    Raises:
        UsageError: names the callback.
    """
    for key, state in states.items():
        try:
            to_bytes(state)
        except NOT_PLAIN as error:
            raise UsageError(
                f"callbacks: the state of {key} cannot be saved ({str(error).splitlines()[0]}); "
                "let its state_dict return only tensors, numbers, strings, lists and dicts."
            ) from None


def networks_of(system: LightningModule) -> dict[str, nn.Module]:
    """The networks that a system trains, by kind."""
    parts = dict(system.named_children())
    return {kind: parts[kind] for kind in NETWORKS if kind in parts}


def resume(trainer: Trainer, system: LightningModule, state: State) -> None:
    """Let the following ``trainer.fit`` go on from a checkpoint.

    Lightning restores weights, callbacks, optimizers and precision. Its loops are set to the
    iteration, within the one epoch, and to a validation of which no image has been scored: where
    one is due there, the run begins with it. The data deliver what is left.
    """
    # Lightning loads the weights before it does this, and in float64 they would lose digits.
    trainer.strategy.precision_plugin.convert_module(system)
    trainer._checkpoint_connector._loaded_checkpoint = state
    fit = trainer.fit_loop
    fit.epoch_progress.increment_ready()
    fit.epoch_progress.increment_started()
    fit.epoch_loop.batch_progress.increment_by(state["iteration"])
    fit.epoch_loop.manual_optimization.optim_step_progress.increment_by(state["global_step"])
    fit.epoch_loop.val_loop.batch_progress.increment_ready()
    fit.epoch_loop.val_loop.batch_progress.increment_started()
    fit.restarting = True


def random_states() -> dict[str, Any]:
    """Every random state of this process, as plain values and tensors."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
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
    """Read a checkpoint: tensors and plain values only, never code; else a DataError."""
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such checkpoint.") from None
    except Exception as error:  # torch, pickle and zipfile each have their own
        whole = zipfile.is_zipfile(path)
        what = "it holds more than tensors and plain values" if whole else "it is damaged"
        raise DataError(f"{path} is not read: {what} ({type(error).__name__}).") from None
    return _current(state) if "optimizers" in state else state


def best_of(state: State) -> dict[str, Any] | None:
    """``best`` of a checkpoint; those of earlier versions have the value under ``psnr``."""
    best: dict[str, Any] | None = state["best"]
    if best and "psnr" in best:
        return {"metric": "psnr", "value": best["psnr"], "iteration": best["iteration"]}
    return best


def _current(former: State) -> State:
    """A checkpoint of the form that runs wrote before it was Lightning's; it has no callbacks."""
    optimizers, iteration = former["optimizers"], former["iteration"]
    return {
        "pytorch-lightning_version": lightning_version,
        "global_step": iteration * len(optimizers),
        "state_dict": current_system_state(former["system"]),
        "callbacks": {},
        "optimizer_states": optimizers,
        "lr_schedulers": [],
        "iteration": iteration,
        "best": former["best"],
        "random": former["random"],
    }


def load_latest(directory: Path) -> State | None:
    """The newest checkpoint of a run that can be read; None when there is none at all.

    Raises:
        DataError: there are some, but none can be read.
    """
    problems: list[str] = []
    for path in (directory / name for name in (LAST, PREVIOUS) if (directory / name).exists()):
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
