"""What the processes of a run are told and agree on: to stop, and what they train."""

import signal
from typing import Any, Protocol

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ir_lightning.errors import Stopped, UsageError
from ir_lightning.systems.across_ranks import any_process, from_all
from ir_lightning.training.checkpoint import Checkpoints

DEFAULT = signal.SIGTERM  # what another process of the same run may have received


class StopRequest(Protocol):
    """The signal by which the run is to stop, once there is one."""

    received: int | None

    def install(self) -> None:
        """Catch the signals, also after a library has put its own handlers in their place."""


class Preemption(Callback):
    """After the iteration, or the evaluation image, in which a signal came: save and stop.

    An evaluation changes nothing that is saved: its iteration has been saved before it. Where
    nothing is trained, ``checkpoints`` is None.
    """

    def __init__(self, signals: StopRequest, checkpoints: Checkpoints | None = None) -> None:
        self.signals = signals
        self.checkpoints = checkpoints

    def on_train_start(self, *_: Any) -> None:
        self.signals.install()  # Lightning has put its own handlers in between

    on_validation_start = on_test_start = on_train_start  # type: ignore[assignment]

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._stop_if_signalled(trainer, pl_module, self.checkpoints)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._stop_if_signalled(trainer, pl_module)

    on_test_batch_end = on_validation_batch_end  # type: ignore[assignment]

    def _stop_if_signalled(
        self, trainer: Trainer, system: Any, checkpoints: Checkpoints | None = None
    ) -> None:
        # Any process: the signal reaches them at different iterations.
        if any_process(system, self.signals.received is not None):
            if checkpoints and trainer.is_global_zero:
                checkpoints.save(trainer, system)
            where = f"after iteration {system.iteration}, which is saved"
            raise Stopped(self.signals.received or DEFAULT, where)


class RankConsistency(Callback):
    """Refuses processes that train different configurations, and gives each its own randomness.

    Ranks that skipped different runs of a sweep would otherwise train two of them into one network,
    and end with exit code 0. Randomness inside the networks (dropout) is a function of (``seed``,
    iteration, rank): with one seed for all, the ranks would drop the same channels.
    """

    def __init__(self, config_hash: str, seed: int) -> None:
        self.config_hash = config_hash
        self.seed = seed

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        hashes = from_all(pl_module, {trainer.global_rank: self.config_hash})
        if len(set(hashes.values())) > 1:
            each = ", ".join(f"rank {rank}: {known}" for rank, known in sorted(hashes.items()))
            raise UsageError(
                f"The processes of this run have different configurations ({each}); start them all "
                "with the same command, code and data."
            )

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if trainer.world_size > 1:
            mixed = np.random.SeedSequence([self.seed, pl_module.iteration, trainer.global_rank])
            torch.manual_seed(int(mixed.generate_state(1, np.uint64)[0] >> np.uint64(1)))
