"""The training's side of stopping when asked: save at the next iteration, then end."""

import signal
from typing import Any, Protocol

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from ir_lightning.errors import Stopped
from ir_lightning.training.checkpoint import Checkpoints

DEFAULT = signal.SIGTERM  # what another process of the same run was asked with


class StopRequest(Protocol):
    """Whether the run has been asked to stop, by which signal."""

    asked: int | None

    def install(self) -> None:
        """Catch the signals; again, where a library has put its own handlers in between."""


class Preemption(Callback):
    """After the iteration, or the evaluation image, in which a signal came: save and stop.

    Args:
        signals: what has been asked so far.
        checkpoints: saves; None where nothing is trained.
    """

    def __init__(self, signals: StopRequest, checkpoints: Checkpoints | None = None) -> None:
        self.signals = signals
        self.checkpoints = checkpoints

    # Lightning has put its own handlers in between.
    def on_train_start(self, *_: Any) -> None:
        self.signals.install()

    def on_validation_start(self, *_: Any) -> None:
        self.signals.install()

    def on_test_start(self, *_: Any) -> None:
        self.signals.install()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._stop_if_asked(trainer, pl_module, due=None)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._stop_if_asked(trainer, pl_module, due=True)

    def on_test_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._stop_if_asked(trainer, pl_module, due=None)

    def _stop_if_asked(self, trainer: Trainer, system: Any, due: bool | None) -> None:
        asked = self.signals.asked is not None
        if trainer.world_size > 1:  # the signal reaches the processes at different iterations
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if not asked:
            return
        fitting = trainer.state.fn == TrainerFn.FITTING
        if self.checkpoints and fitting and trainer.is_global_zero:
            self.checkpoints.save(trainer, system, due)
        where = f"after iteration {system.iteration}, which is saved"
        raise Stopped(self.signals.asked or DEFAULT, where)
