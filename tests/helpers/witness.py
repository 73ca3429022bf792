"""What a process of a distributed run saw, for tests."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer


class Witness(Callback):
    """Writes down, per rank, the crops of every iteration and the weights at the end.

    Args:
        folder: where.
        fail_at: rank 0 raises at this iteration; None: it does not.
    """

    def __init__(self, folder: str, fail_at: int | None = None) -> None:
        self.folder = Path(folder)
        self.fail_at = fail_at
        self.crops: list[torch.Tensor] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_global_zero and pl_module.iteration == self.fail_at:
            raise RuntimeError("a bug on rank 0")
        self.crops.append(batch["degraded"].clone())

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        seen = {"crops": torch.stack(self.crops), "system": pl_module.state_dict()}
        self.folder.mkdir(exist_ok=True)
        torch.save(seen, self.folder / f"{trainer.global_rank}.pt")
