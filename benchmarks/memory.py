"""What the memory estimate costs, and on a GPU how near it is to the truth.

    python benchmarks/memory.py                          # the paper's U-Nets, a minute on two cores
    python benchmarks/memory.py depth=3 budget.crop=512  # any other training

The estimate's time is told beside that of one iteration of the training that it stands for: the
fastest of several, since machines are shared.
"""

import argparse
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from ir_lightning.build import build
from ir_lightning.launch.config import load_config
from ir_lightning.launch.preflight import resolve
from ir_lightning.training.memory import GIB, Estimate, estimate

PAPER = (
    ["depth=5"],
    ["depth=8"],
    ["depth=5", "enhancer=infoaccum", "upsampler=subpixel"],
)
ROUNDS = 3


class Clock(Callback):
    """The seconds of every iteration."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: object) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, *_: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self.began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*", help="of conf/train.yaml")
    for overrides in [given] if (given := parser.parse_args().overrides) else PAPER:
        config = resolve(load_config(["width=64", "budget.crop=256", "budget.batch=1", *overrides]))
        estimated = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            need = estimate(config)
            estimated.append(time.perf_counter() - began)
        if not isinstance(need, Estimate):
            parser.exit(1, f"{' '.join(overrides)}: {need.reason}\n")
        clock, system = Clock(), build(config["system"], "system")
        train(system, config, clock)
        ratio = min(clock.seconds) / min(estimated)
        told = f"{need.total / GIB:.2f} GiB, known in {min(estimated):.2f} s; one iteration takes "
        told += f"{min(clock.seconds):.2f} s, {ratio:.1f} times as long"
        if torch.cuda.is_available():
            told += f", and {torch.cuda.max_memory_allocated() / GIB:.2f} GiB"
        print(f"{' '.join(overrides)}: {told}")


def train(system: LightningModule, config: dict[str, Any], clock: Clock) -> None:
    """A few iterations on images of noise."""
    budget = config["budget"]
    shape = (budget["batch"], 3, budget["crop"], budget["crop"])
    images = {"degraded": torch.rand(shape), "clean": torch.rand(shape)}
    batch = images | {"name": [""] * budget["batch"]}
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trainer = Trainer(
        max_epochs=1,
        callbacks=[clock],
        enable_model_summary=False,
        devices=1,
        precision=config["trainer"].get("precision", "32-true"),
        **quiet,
    )
    trainer.fit(system, DataLoader([batch] * (ROUNDS + 1), batch_size=None))


if __name__ == "__main__":
    main()
