"""The training's side of stopping on a signal: save after the iteration, then end."""

import signal
from typing import Any, NoReturn, Protocol

from lightning.pytorch import Callback, Trainer

from ir_lightning.errors import Stopped
from ir_lightning.training.checkpoint import Checkpoints

DEFAULT = signal.SIGTERM  # what another process of the same run may have received


class StopRequest(Protocol):
    """The signal by which the run is to stop, once there is one."""

    received: int | None

    def install(self) -> None:
        """Catch the signals, also after a library has put its own handlers in their place."""


class Preemption(Callback):
    """After the iteration, or the evaluation image, in which a signal came: save and stop.

    An evaluation changes nothing that is saved: its iteration has been saved before it.

    Args:
        signals: what has been received so far.
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
        if self._signalled(trainer):
            if self.checkpoints and trainer.is_global_zero:
                self.checkpoints.save(trainer, pl_module)
            self._stop(pl_module)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if self._signalled(trainer):
            self._stop(pl_module)

    def on_test_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if self._signalled(trainer):
            self._stop(pl_module)

    def _signalled(self, trainer: Trainer) -> bool:
        signalled = self.signals.received is not None
        if trainer.world_size > 1:  # the signal reaches the processes at different iterations
            signalled = trainer.strategy.reduce_boolean_decision(signalled, all=False)
        return signalled

    def _stop(self, system: Any) -> NoReturn:
        where = f"after iteration {system.iteration}, which is saved"
        raise Stopped(self.signals.received or DEFAULT, where)
