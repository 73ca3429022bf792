"""Training images that are degraded on the device of the training, and how long it waits."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from ir_lightning.build import build
from ir_lightning.data.module import RestorationData
from ir_lightning.launch.preflight import resolve
from ir_lightning.launch.run import run
from ir_lightning.training.loaders import DataWait, Loaders, Timed
from tests.conftest import SMALL, Compose

SETS = ("noise", "haze", "rain", "rain_density", "rain_haze", "heavy_rain", "all_in_one")


def data_of(composed: Compose, *overrides: str) -> RestorationData:
    config = composed(*SMALL, "budget.iterations=3", "budget.batch=4", *overrides)
    data: RestorationData = build(resolve(config)["data"], "data")
    return data


def on(device: str, precision: str = "32-true") -> Any:
    strategy = SimpleNamespace(root_device=torch.device(device))
    return SimpleNamespace(global_rank=0, world_size=1, strategy=strategy, precision=precision)


# What travels between processes is the same for each degradation: two are enough there.
@pytest.mark.parametrize(
    ("dataset", "workers"), [*((name, 0) for name in SETS), ("rain", 1), ("all_in_one", 1)]
)
def test_what_is_left_to_the_device_is_the_same(
    dataset: str, workers: int, composed: Compose
) -> None:
    data = data_of(composed, f"dataset={dataset}", f"data.workers={workers}")
    loaders = Loaders(data, degrade_on_gpu=True)
    here = list(loaders.train_dataloader())
    loaders.trainer = on("cuda")
    left = list(loaders.train_dataloader())
    assert all("to_do" in batch for batch in left)
    for whole, begun in zip(here, left, strict=True):
        assert "to_do" not in whole
        completed = loaders.on_after_batch_transfer(begun, 0)
        assert completed.keys() == whole.keys()
        assert completed["name"] == whole["name"]
        for kind in ("degraded", "clean"):
            assert torch.equal(completed[kind], whole[kind])


@pytest.mark.parametrize(
    ("asked", "device", "precision"),
    [(False, "cuda", "32-true"), (True, "cpu", "32-true"), (True, "cuda", "64-true")],
)
def test_otherwise_images_come_degraded(
    asked: bool, device: str, precision: str, composed: Compose
) -> None:
    """In float64 the image would be another one than that of a CPU."""
    loaders = Loaders(data_of(composed), degrade_on_gpu=asked)
    loaders.trainer = on(device, precision)
    assert all("to_do" not in batch for batch in loaders.train_dataloader())


def test_real_pairs_leave_nothing_to_do(composed: Compose, benchmarks: Path) -> None:
    data = data_of(composed, "dataset=rain800", f"paths.data={benchmarks}")
    loaders = Loaders(data, degrade_on_gpu=True)
    loaders.trainer = on("cuda")
    for batch in loaders.train_dataloader():
        assert batch["to_do"] == []
        assert loaders.on_after_batch_transfer(batch, 0)["degraded"] is batch["degraded"]


def test_the_wait_is_the_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 3.0, 10.0, 10.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    data: Any = SimpleNamespace(validation_pairs=None, test_pairs=None)
    loaders = Loaders(data)
    rows: list[tuple[dict[str, float], int]] = []
    logger = SimpleNamespace(log_metrics=lambda values, step: rows.append((values, step)))
    trainer: Any = SimpleNamespace(loggers=[logger])
    system: Any = SimpleNamespace(iteration=2, optimization=SimpleNamespace(log_every=2))
    wait = DataWait(loaders)
    wait.on_train_start(trainer, system)
    next(iter(Timed(loaders, ["batch"])))  # type: ignore[arg-type]
    wait.on_train_batch_end(trainer, system)
    assert rows == [({"data_wait": 0.3}, 2)]


def test_a_curve_says_how_long_the_training_waits(composed: Compose) -> None:
    config = composed(*SMALL, "budget.iterations=4", "budget.log_every=2", "run_dir=null")
    run(config, [])
    (curve,) = Path(config.paths.runs).glob("*/metrics.csv")
    waits = pd.read_csv(curve, index_col="iteration")["data_wait"].dropna()
    assert waits.index.tolist() == [2, 4]
    assert waits.between(0, 1).all()
