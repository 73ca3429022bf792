"""The torch half of a run: build the objects, fit, test. Imported only once a run is worth it."""

import logging
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import nn

from ir_lightning.build import build
from ir_lightning.data.module import RestorationData
from ir_lightning.errors import UsageError
from ir_lightning.networks.cost import count
from ir_lightning.runs.record import NETWORKS
from ir_lightning.runs.scores import mean_scores, score_table, scores_by_dataset, write_scores
from ir_lightning.systems.restoration import RestorationSystem
from ir_lightning.training.callbacks.gallery import Gallery, ImageGrid
from ir_lightning.training.callbacks.preemption import Preemption, StopRequest
from ir_lightning.training.callbacks.rank_consistency import RankConsistency
from ir_lightning.training.checkpoint import BEST, Checkpoints, Resume, load_latest, load_state
from ir_lightning.training.loaders import Loaders
from ir_lightning.training.loggers.curve import CurveLogger
from ir_lightning.training.loggers.result import close, publish
from ir_lightning.training.weights import begin_with, save_network


def train(
    config: dict[str, Any],
    run_dir: Path,
    config_hash: str,
    guard: Callable[[], None],
    signals: StopRequest,
) -> dict[str, Any]:
    """Train, choose the weights, test, and leave everything but the result record in ``run_dir``.

    Args:
        config: plain, resolved configuration.
        run_dir: the run's directory; a checkpoint in it is continued.
        config_hash: config hash.
        guard: raises when the run must not be written to any more.
        signals: what the run has been asked to do meanwhile.

    Returns:
        The measured part of the result record.

    Raises:
        RunError: the run cannot go on; the message says why.
        Stopped: a signal asked for it, and the training is saved.
    """
    prepare(config)
    system: RestorationSystem = build(config["system"], "system")
    data: RestorationData = build(config["data"], "data")
    checkpoints, every = run_dir / "checkpoints", config["budget"]["checkpoint_every"]
    state = load_latest(checkpoints)
    if state:
        system.load_state_dict(state["system"])
        system.iteration = data.start = state["iteration"]
    else:
        for kind in config["pretrain"].get("sources", {}):
            begin_with(getattr(system, kind), kind, config["pretrain"][kind])
    curve = CurveLogger(run_dir / "metrics.csv", data.start)
    seconds = config["checkpoint"]["minutes"] * 60
    saver = Checkpoints(checkpoints, curve, guard, every, seconds, state)
    grid = ImageGrid(run_dir / "images" / "grid.png")
    callbacks = [RankConsistency(config_hash, data.seed), saver, Preemption(signals, saver)]
    callbacks += [grid, Gallery(run_dir)]
    loggers: list[Logger] = [curve]
    status = "failed"
    trainer = None
    try:
        trainer = new_trainer(config, [*callbacks, *([Resume(state)] if state else [])])
        if trainer.is_global_zero:
            for name, node in config["logger"].items():
                make = build(node, f"logger.{name}")
                loggers.append(make(run_dir=run_dir, run_id=config_hash, config=config))
        trainer.loggers = loggers if trainer.is_global_zero else []
        loaders = Loaders(data)
        fit(trainer, system, loaders, state, every)
        trainer.strategy.barrier("rank 0 has written the last checkpoint")
        if system.evaluation.weights == "best":
            best = load_state(checkpoints / BEST)
            system.generator.load_state_dict(best["generator"])
        trainer.test(system, loaders, verbose=False)
        scores = score_table(system.test_rows, config["dataset"]["name"])
        measured = measure(system, saver, scores)
        if trainer.is_global_zero:
            guard()
            for kind in [kind for kind in NETWORKS if kind in dict(system.named_children())]:
                save_network(run_dir, kind, getattr(system, kind), config[kind])
            write_scores(run_dir, scores)
            rows = cast(list[dict[str, Any]], scores.to_dict("records"))
            publish(loggers, measured, rows, grid.draw())
        status = "finished"
    except Exception:
        end_processes(trainer)
        raise
    finally:
        close(loggers, status)
    return measured


def prepare(config: dict[str, Any]) -> None:
    """Set what holds for the whole process: warnings, threads and seeds."""
    quiet()
    if config["threads"] is not None:
        torch.set_num_threads(config["threads"])
    pl.seed_everything(config["data"]["seed"], verbose=False)


def end_processes(trainer: pl.Trainer | None) -> None:
    """Kill the processes that Lightning started for this run: they would wait for this one."""
    launcher = trainer.strategy.launcher if trainer else None
    if isinstance(launcher, _SubprocessScriptLauncher):
        launcher.kill(signal.SIGKILL)


def new_trainer(config: dict[str, Any], callbacks: list[pl.Callback]) -> pl.Trainer:
    """Lightning's trainer with this run's callbacks and rhythm of validation.

    Raises:
        UsageError: the batch cannot be shared by the processes.
    """
    chosen = [build(node, f"callbacks.{name}") for name, node in config["callbacks"].items()]
    bar = any(isinstance(callback, pl.callbacks.ProgressBar) for callback in chosen)
    trainer: pl.Trainer = build(config["trainer"], "trainer")(
        max_epochs=1,  # one pass over the budget
        val_check_interval=config["budget"]["checkpoint_every"],
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=[*callbacks, *chosen],
        use_distributed_sampler=False,  # the data know rank and world themselves
        enable_checkpointing=False,
        enable_progress_bar=bar,
        enable_model_summary=False,
    )
    batch, world = config["budget"]["batch"], trainer.world_size
    if batch % world:
        raise UsageError(
            f"budget.batch={batch} counts the crops of all processes together and cannot be shared "
            f"by {world}: give a multiple of {world}, or trainer.devices={batch}."
        )
    return trainer


def quiet() -> None:
    """Silence advice that does not apply; warnings about the run itself still show."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",  # these batches cost little; data.workers is there
        ".*smaller than the logging interval.*",  # the systems write their own curve
        ".*LeafSpec.*",  # Lightning's own business with torch
        ".*sync_dist=True.*",  # scores are gathered from all processes before they are logged
        ".*srun. command is available.*",  # on a cluster, hydra/launcher=slurm is there
    ):
        warnings.filterwarnings("ignore", message=message)


def fit(
    trainer: pl.Trainer,
    system: RestorationSystem,
    loaders: Loaders,
    state: dict[str, Any] | None,
    validate_every: int,
) -> None:
    """Train to the end of the budget; the last iteration is always validated and saved."""
    data = loaders.data
    if state and state["due"]:
        trainer.validate(system, loaders, verbose=False)
    if data.start == data.iterations:
        return  # cut off after the training: what is left is the test
    # Lightning validates by the number of batches of the whole run, not of this attempt.
    trainer.fit_loop.epoch_loop.batch_progress.total.ready = data.start
    trainer.fit(system, loaders)
    if data.iterations % validate_every:
        trainer.validate(system, loaders, verbose=False)


def multiply_adds(generator: nn.Module) -> int | None:
    """Of one 256 x 256 image; None if a network of one's own cannot be run without data."""
    try:
        return count(generator).multiply_adds
    except Exception:
        return None


def measure(system: RestorationSystem, saver: Checkpoints, scores: pd.DataFrame) -> dict[str, Any]:
    """Counts and scores of a finished run.

    Args:
        system: trained and tested.
        saver: knows the best validation.
        scores: of the test images (:func:`ir_lightning.runs.scores.score_table`).
    """
    networks = dict(system.named_children())
    d_saturated_at = getattr(system, "d_saturated_at", None)
    return {
        "iterations": system.iteration,
        "parameters": {
            name: sum(p.numel() for p in networks[name].parameters()) if name in networks else 0
            for name in NETWORKS
        },
        "multiply_adds": multiply_adds(system.generator),
        "d_saturated_at": int(d_saturated_at) or None if d_saturated_at is not None else None,
        "best_validation": saver.best,
        **measure_test(system, scores),
    }


def measure_test(system: RestorationSystem, scores: pd.DataFrame) -> dict[str, Any]:
    """Scores of a tested system, and where it was tested."""
    evaluation, means = system.evaluation, mean_scores(scores)
    return {
        "protocol": evaluation.protocols[0],
        "images": len(system.test_rows),
        "tiled_images": system.tiled_images,
        "metrics": {
            name: {"unit": metric.unit, "higher_is_better": metric.higher_is_better}
            for name, metric in evaluation.metrics.items()
        },
        **means[evaluation.protocols[0]],
        "scores": means,
        "by_dataset": scores_by_dataset(scores),
        "device": torch.cuda.get_device_name() if system.device.type == "cuda" else "cpu",
        "processes": system.trainer.world_size,
        "threads": torch.get_num_threads(),
    }
