"""The torch half of a run: build the objects, fit, test. Imported only once a run is worth it."""

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import Logger

from ir_lightning.build import build
from ir_lightning.data.module import RestorationData
from ir_lightning.runs.checkpoint import BEST, LAST, Checkpoints, Resume, load_state
from ir_lightning.runs.curve import CurveLogger
from ir_lightning.runs.grid import Grid
from ir_lightning.runs.loggers import close, publish
from ir_lightning.runs.result import mean_scores, scores_by_dataset, write_rows
from ir_lightning.runs.weights import save_generator
from ir_lightning.systems.restoration import RestorationSystem


def train(config: dict[str, Any], run_dir: Path, digest: str) -> dict[str, Any]:
    """Train, choose the weights, test, and leave everything but the result record in ``run_dir``.

    Args:
        config: plain, resolved configuration.
        run_dir: the run's directory; a checkpoint in it is continued.
        digest: config hash.

    Returns:
        The measured part of the result record.
    """
    quiet()
    pl.seed_everything(config["seed"], verbose=False)
    system: RestorationSystem = build(config["system"], "system")
    data: RestorationData = build(config["data"], "data")

    checkpoints = run_dir / "checkpoints"
    state = load_state(checkpoints / LAST) if (checkpoints / LAST).exists() else None
    if state:
        system.load_state_dict(state["system"])
        system.iteration = data.start = state["iteration"]
    curve = CurveLogger(run_dir / "metrics.csv", data.start)
    saver = Checkpoints(checkpoints, curve)
    grid = Grid(run_dir / "images" / "grid.png")
    callbacks = [saver, grid, *([Resume(state, saver)] if state else [])]
    loggers: list[Logger] = [curve]
    status = "failed"
    try:
        for name, node in config["logger"].items():
            make = build(node, f"logger.{name}")
            loggers.append(make(run_dir=run_dir, run_id=digest, config=config))
        trainer = new_trainer(config, callbacks, loggers)
        fit(trainer, system, data, config["budget"])
        if config["evaluation"]["weights"] == "best":
            best = load_state(checkpoints / BEST)
            system.generator.load_state_dict(best["generator"])
        save_generator(run_dir / "generator.safetensors", system.generator, config["generator"])
        trainer.test(system, data, verbose=False)
        write_rows(run_dir, system.test_rows)
        measured = measure(system, saver)
        publish(loggers, measured, system.test_rows, grid.draw())
        status = "finished"
    finally:
        close(loggers, status)
    return measured


def new_trainer(
    config: dict[str, Any], callbacks: list[pl.Callback], loggers: list[Logger]
) -> pl.Trainer:
    """Lightning's trainer with this run's callbacks, loggers and rhythm of validation."""
    chosen = [build(node, f"callbacks.{name}") for name, node in config["callbacks"].items()]
    bar = any(isinstance(callback, pl.callbacks.ProgressBar) for callback in chosen)
    trainer: pl.Trainer = build(config["trainer"], "trainer")(
        max_epochs=1,  # one pass over the budget
        val_check_interval=config["budget"]["checkpoint_every"],
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=loggers,
        callbacks=[*callbacks, *chosen],
        enable_checkpointing=False,
        enable_progress_bar=bar,
        enable_model_summary=False,
    )
    return trainer


def quiet() -> None:
    """Silence advice that does not apply; warnings about the run itself still show."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",  # these batches cost little; data.workers is there
        ".*smaller than the logging interval.*",  # the systems write their own curve
        ".*LeafSpec.*",  # Lightning's own business with torch
    ):
        warnings.filterwarnings("ignore", message=message)


def fit(
    trainer: pl.Trainer, system: RestorationSystem, data: RestorationData, budget: dict[str, Any]
) -> None:
    """Train to the end of the budget; the last iteration is always validated and saved."""
    if data.start == budget["iterations"]:
        return  # cut off after the training: what is left is the test
    trainer.fit(system, data)
    if budget["iterations"] % budget["checkpoint_every"]:
        trainer.validate(system, data, verbose=False)


def measure(system: RestorationSystem, saver: Checkpoints) -> dict[str, Any]:
    """Counts and scores of a finished run."""
    scores = mean_scores(system.test_rows, list(system.protocols))
    networks = dict(system.named_children())
    return {
        "iterations": system.iteration,
        "parameters": {
            name: sum(p.numel() for p in networks[name].parameters()) if name in networks else 0
            for name in ("generator", "discriminator")
        },
        "best_validation": saver.best,
        "protocol": system.protocol,
        "images": len(system.test_rows),
        "tiled_images": system.tiled_images,
        **scores[system.protocol],
        "scores": scores,
        "by_dataset": scores_by_dataset(system.test_rows, list(system.protocols)),
        "device": torch.cuda.get_device_name() if system.device.type == "cuda" else "cpu",
    }
