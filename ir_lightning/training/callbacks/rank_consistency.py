"""Several processes, one run: one configuration, and randomness of each one's own."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ir_lightning.errors import UsageError


class RankConsistency(Callback):
    """Refuses processes that train different configurations, and gives each its own randomness.

    Ranks that skipped different runs of a sweep would otherwise train two of them into one network,
    and end with exit code 0. Randomness inside the networks (dropout) is a function of (seed,
    iteration, rank): with one seed for all, the ranks would drop the same channels.

    Args:
        config_hash: config hash.
        seed: the run's seed.
    """

    def __init__(self, config_hash: str, seed: int) -> None:
        self.config_hash = config_hash
        self.seed = seed

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.world_size == 1:
            return
        hashes: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(hashes, self.config_hash)
        if len(set(hashes)) > 1:
            each = ", ".join(f"rank {rank}: {its_hash}" for rank, its_hash in enumerate(hashes))
            raise UsageError(
                f"The processes of this run have different configurations ({each}); start them all "
                "with the same command, code and data."
            )

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if trainer.world_size > 1:
            mixed = np.random.SeedSequence([self.seed, pl_module.iteration, trainer.global_rank])
            torch.manual_seed(int(mixed.generate_state(1, np.uint64)[0] >> np.uint64(1)))
