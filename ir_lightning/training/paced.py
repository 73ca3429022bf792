"""A training for nothing but its pace: warmed up, and then timed for as long as it is told to be.

See :mod:`ir_lightning.launch.sharing`, which starts several at once.
"""

import time
from multiprocessing.connection import Connection
from typing import Any

import lightning.pytorch as pl
import torch

from ir_lightning.build import build
from ir_lightning.data.module import RestorationData
from ir_lightning.systems.restoration import RestorationSystem
from ir_lightning.training.loaders import Loaders
from ir_lightning.training.loop import Config, new_trainer, prepare

WARM_UP = 12
"""Iterations before anything is timed: algorithms are chosen, scenes made, iterations recorded."""


def train_paced(config: Config, pipe: Connection) -> None:
    """Train on one device without writing anything, until the pipe or the budget ends."""
    prepare(config)
    system: RestorationSystem = build(config["system"], "system")
    data: RestorationData = build(config["data"], "data")
    trainer = {**config["trainer"], "devices": 1}
    alone = new_trainer({**config, "trainer": trainer, "callbacks": {}}, [Paced(pipe)])
    alone.fit(system, Loaders(data, config["speed"]["degrade_on_gpu"]))


class Paced(pl.Callback):
    """Says ``warm`` once; answers each number of seconds with the iterations a second in them."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.first, self.began, self.until = WARM_UP, 0.0, 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, system: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx < WARM_UP or time.perf_counter() < self.until:
            return
        if system.device.type == "cuda":
            torch.cuda.synchronize()  # it has been told more than it has done
        rate = (batch_idx - self.first) / (time.perf_counter() - self.began)
        self.pipe.send("warm" if batch_idx == WARM_UP else rate)
        seconds = self.pipe.recv()
        self.first, self.began = batch_idx, time.perf_counter()
        self.until = self.began + seconds
