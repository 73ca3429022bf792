"""The torch half of another evaluation: build the system of a trained run, load it, test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ir_lightning.build import build
from ir_lightning.data.module import RestorationData
from ir_lightning.runs.scores import score_table, write_scores
from ir_lightning.systems.restoration import RestorationSystem
from ir_lightning.training.callbacks.gallery import Gallery, ImageGrid
from ir_lightning.training.callbacks.processes import Preemption, StopRequest
from ir_lightning.training.loop import Loaders, measure_test, new_trainer, prepare
from ir_lightning.training.weights import load_kept

SEVERAL = ("num_nodes", "strategy", "sync_batchnorm")
"""Arguments of Lightning's trainer that are about several devices."""


def evaluate(
    config: dict[str, Any],
    run_dir: Path,
    folder: Path,
    guard: Callable[[], None],
    signals: StopRequest,
) -> dict[str, Any]:
    """Test a trained run on one device, and leave the scores and pictures in ``folder``.

    Args:
        config: plain, resolved configuration of the run, with the evaluation that is wanted.
        run_dir: its directory, which holds the weights.
        folder: of the evaluation.
        guard: raises when the run must not be written to any more.
        signals: the signal to stop, once one has come.

    Returns:
        The measured part of the evaluation's record.

    Raises:
        RunError: the weights or an image cannot be read.
        Stopped: a signal came.
    """
    prepare(config)
    system: RestorationSystem = build(config["system"], "system")
    data: RestorationData = build(tests_only(config["data"]), "data")
    system.iteration = data.iterations  # it is trained
    pictures = [ImageGrid(folder / "images" / "grid.png"), Gallery(folder)]
    trainer = new_trainer(on_one_device(config), [Preemption(signals), *pictures])
    trainer.strategy.precision_plugin.convert_module(system)  # first: weights keep their digits
    load_kept(system.generator, run_dir, system.evaluation.weights)
    trainer.test(system, Loaders(data), verbose=False)
    scores = score_table(system.test_rows, config["dataset"]["name"])
    guard()
    write_scores(folder, scores)
    return measure_test(system, scores)


def tests_only(data: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the data without those that are trained on, which may not be here."""
    return {**data, "train": data["test"], "validation": data["test"], "small_images": "pad"}


def on_one_device(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run for one process, watched by nothing but a bar."""
    trainer = {key: value for key, value in config["trainer"].items() if key not in SEVERAL}
    callbacks = {n: node for n, node in config["callbacks"].items() if n == "progress"}
    return {**config, "trainer": {**trainer, "devices": 1}, "callbacks": callbacks}
