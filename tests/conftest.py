"""What the tests share: composed configurations and tiny collections of images."""

import os
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from omegaconf import DictConfig
from PIL import Image

from ir_lightning.data.image_files import write_image
from ir_lightning.launch.config import load_config
from tests.helpers import trees
from tests.helpers.wandb_servers import closed_port

# The suite runs one process per core; threads of two that wait for each other take all of both.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that it begins
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
TIMES = {"seconds", "data_wait"}
"""Columns of a training curve that no two runs agree in."""
SMALL = ("budget=smoke", "budget.evaluation_side=64", "logger=csv", "callbacks=none")

Compose = Callable[..., DictConfig]
Fill = Callable[[str, list[str]], Path]


def quiet_trainer(accelerator: str = "cpu", **given: Any) -> Trainer:
    """Lightning's trainer of one pass that says and keeps nothing."""
    return Trainer(
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator=accelerator,
        **given,
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no process ends long after the others."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def composed(tmp_path: Path) -> Compose:
    """``composed("depth=3", ...)``: conf/train.yaml with overrides, its runs in a fresh folder."""

    def make(*overrides: str) -> DictConfig:
        config = deepcopy(compose_once(overrides))
        if not any(override.startswith("paths.runs=") for override in overrides):
            config.paths.runs = f"{tmp_path}/runs"
        return config

    return make


@cache
def compose_once(overrides: tuple[str, ...]) -> DictConfig:
    """The configuration with these overrides, kept: a third of a second each time."""
    return load_config(overrides)


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    """A data folder with a miniature Rain800 and a folder of the user's own pairs."""
    random = np.random.default_rng(0)

    def photograph() -> Image.Image:
        noise = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        return Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC)

    trees.rain800(tmp_path / "data" / "rain800")
    for split, count in (("train", 8), ("test", 2)):
        for kind in ("degraded", "clean"):
            folder = tmp_path / "data" / "own" / split / kind
            folder.mkdir(parents=True)
            for index in range(count):
                photograph().save(folder / f"{index}.png")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with every benchmark in miniature, to be read only."""
    data = tmp_path_factory.mktemp("miniatures")
    for plant in (trees.rain800, trees.rain1200, trees.sidd, trees.reside, trees.reside_in):
        plant(data / plant.__name__)
    for plant in (trees.raincityscapes, trees.outdoorrain, trees.rain13k):
        plant(data / plant.__name__)
    for letter in ("L", "H"):
        trees.rain100(data / f"rain100{letter.lower()}", letter)
    return data


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """``fill("clean", ["1.png"])`` makes a folder of small images, no two alike."""
    random = np.random.default_rng(0)

    def make(folder: str, names: list[str]) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in names:
            write_image(
                tmp_path / folder / name, random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            )
        return tmp_path / folder

    return make


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of the right form, no settings of whoever runs the tests, and no server."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", closed_port())
