"""The torch half of a run: build the objects, fit, test. Imported only once a run is worth it."""

import logging
import signal
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from ir_lightning.build import build, refusals
from ir_lightning.data.module import RestorationData
from ir_lightning.errors import UsageError
from ir_lightning.networks.meta import count, on_meta
from ir_lightning.runs.record import NETWORKS
from ir_lightning.runs.scores import mean_scores, score_table, scores_by_dataset, write_scores
from ir_lightning.systems.restoration import RestorationSystem
from ir_lightning.training.callbacks.gallery import Gallery, ImageGrid
from ir_lightning.training.callbacks.processes import Preemption, RankConsistency, StopRequest
from ir_lightning.training.callbacks.speed import Speed
from ir_lightning.training.checkpoint import (
    BEST,
    Checkpoints,
    Guard,
    State,
    load_latest,
    load_state,
    networks_of,
    resume,
)
from ir_lightning.training.loaders import DataWait, Loaders
from ir_lightning.training.loggers.local import CurveLogger, close, publish
from ir_lightning.training.weights import begin_with, load_kept, save_network

Config = dict[str, Any]
CHECKPOINTS = "checkpoints"
SEVERAL = ("num_nodes", "strategy", "sync_batchnorm")  # the trainer's, about several devices


def train(
    config: Config, run_dir: Path, config_hash: str, guard: Guard, signals: StopRequest
) -> dict[str, Any]:
    """Train, choose the weights, test, and leave everything but the result record in ``run_dir``.

    Args:
        config: plain, resolved configuration.
        run_dir: the run's directory; a checkpoint in it is resumed.
        config_hash: of the training.
        guard: raises when the run must not be written to any more.
        signals: the signal to stop, once one has been received.

    Returns:
        The measured part of the result record.

    Raises:
        RunError: the run cannot go on; the message says why.
        Stopped: a signal was received, and the training is saved.
    """
    prepare(config)
    system: RestorationSystem = build(config["system"], "system")
    data: RestorationData = build(config["data"], "data")
    state = begin(system, data, config, run_dir)
    curve = CurveLogger(run_dir / "metrics.csv", data.start)
    every, seconds = config["budget"]["checkpoint_every"], config["checkpoint"]["minutes"] * 60
    saver = Checkpoints(run_dir / CHECKPOINTS, curve, guard, every, seconds)
    grid = ImageGrid(run_dir / "images" / "grid.png")
    loaders = Loaders(data, config["speed"]["degrade_on_gpu"])
    after = [DataWait(loaders), grid, Gallery(run_dir), saver, Preemption(signals, saver)]
    loggers: list[Logger] = [curve]
    status, trainer = "failed", None
    try:
        trainer = new_trainer(config, after, before=[RankConsistency(config_hash, data.seed)])
        # One by one: each logger that is there will be closed.
        for name, node in config["logger"].items() if trainer.is_global_zero else ():
            make = build(node, f"logger.{name}")
            loggers.append(make(run_dir=run_dir, run_id=config_hash, config=config))
        trainer.loggers = loggers if trainer.is_global_zero else []
        if state:
            resume(trainer, system, state)
            del state  # Lightning lets go of it, too
        trainer.fit(system, loaders)
        scores = test(trainer, system, loaders, run_dir, config["dataset"]["name"])
        measured = measure(system, saver.best, scores)
        if trainer.is_global_zero:
            guard()
            for kind, network in networks_of(system).items():
                save_network(run_dir, kind, network, config[kind])
            write_scores(run_dir, scores)
            publish(loggers, measured, scores, grid.draw())
        status = "finished"
    except Exception:
        launcher = trainer.strategy.launcher if trainer else None
        if isinstance(launcher, _SubprocessScriptLauncher):
            launcher.kill(signal.SIGKILL)  # the other processes, which would wait for this one
        raise
    finally:
        close(loggers, status)
    return measured


def begin(
    system: RestorationSystem, data: RestorationData, config: Config, run_dir: Path
) -> State | None:
    """The checkpoint that the run goes on from; without one, networks begin with kept weights."""
    state = load_latest(run_dir / CHECKPOINTS)
    if state:
        system.iteration = data.start = state["iteration"]
    else:
        for kind in config["pretrain"].get("sources", {}):
            begin_with(getattr(system, kind), kind, config["pretrain"][kind])
    return state


def test(
    trainer: pl.Trainer, system: RestorationSystem, loaders: Loaders, run_dir: Path, dataset: str
) -> pd.DataFrame:
    """Score the test images with the weights that ``evaluation.weights`` chooses.

    The discriminator becomes the one that stood beside that generator, so that what is saved goes
    together.
    """
    trainer.strategy.barrier("rank 0 has written the last checkpoint")
    if system.evaluation.weights == "best":
        best = load_state(run_dir / CHECKPOINTS / BEST)
        for kind, network in networks_of(system).items():
            if kind in best:  # earlier versions kept no discriminator there
                network.load_state_dict(best[kind])
    trainer.test(system, loaders, verbose=False)
    return score_table(system.test_rows, dataset)


def evaluate(
    config: Config, run_dir: Path, folder: Path, guard: Guard, signals: StopRequest
) -> dict[str, Any]:
    """Test a trained run on one device, and leave the scores and pictures in ``folder``.

    The arguments are those of :func:`train`; ``config`` has the evaluation that is wanted.

    Raises:
        RunError: the weights or an image cannot be read.
        Stopped: a signal came.
    """
    prepare(config)
    system: RestorationSystem = build(config["system"], "system")
    images = config["data"]["test"]  # the others may not be here
    alone = {**config["data"], "train": images, "validation": images, "small_images": "pad"}
    data: RestorationData = build(alone, "data")
    system.iteration = data.iterations  # it is trained
    one_device = {k: v for k, v in config["trainer"].items() if k not in SEVERAL} | {"devices": 1}
    bar = {name: node for name, node in config["callbacks"].items() if name == "progress"}
    pictures = [ImageGrid(folder / "images" / "grid.png"), Gallery(folder)]
    changed = {**config, "trainer": one_device, "callbacks": bar}
    trainer = new_trainer(changed, [Preemption(signals), *pictures])
    trainer.strategy.precision_plugin.convert_module(system)  # first: weights keep their digits
    load_kept(system.generator, run_dir, system.evaluation.weights)
    trainer.test(system, Loaders(data), verbose=False)
    scores = score_table(system.test_rows, config["dataset"]["name"])
    guard()
    write_scores(folder, scores)
    return measure_test(system, scores)


def refuse_unbuildable(config: Config, here: bool = True) -> None:
    """The rest of the preflight: build the system, the callbacks and the trainer, without weights.

    A UsageError names what is refused. ``here``: the devices of this machine count.
    """
    quiet()
    try:
        # The preflight has built the evaluation: its metrics try a score, which takes data.
        plain_evaluation = {"_target_": "ir_lightning.systems.Evaluation", "protocols": ["rgb8"]}
        with on_meta():
            build({**config["system"], "evaluation": plain_evaluation}, "system")
    except UsageError:
        raise
    except Exception:
        pass  # a part that cannot be built without data is left to the training
    try:
        if here:
            with refusals("trainer", config["trainer"]):
                new_trainer(config, [])
        else:
            build(config["callbacks"], "callbacks")
    except MisconfigurationException as error:
        raise UsageError(f"trainer: {' '.join(str(error).split())}") from None


def prepare(config: Config) -> None:
    """Set what holds for the whole process: warnings, threads and seeds."""
    quiet()
    if config["threads"] is not None:
        torch.set_num_threads(config["threads"])
    pl.seed_everything(config["data"]["seed"], verbose=False)


def quiet() -> None:
    """Silence advice that does not apply; warnings about the run itself still show."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",  # these batches cost little; data.workers is there
        ".*your dataloader is not resumable.*",  # it delivers what is left of the run
        ".*smaller than the logging interval.*",  # the systems write their own curve
        ".*LeafSpec.*",  # Lightning's own business with torch
        ".*sync_dist=True.*",  # scores are gathered from all processes before they are logged
        ".*srun. command is available.*",  # on a cluster, hydra/launcher=slurm is there
    ):
        warnings.filterwarnings("ignore", message=message)


def new_trainer(
    config: Config, after: Sequence[pl.Callback], before: Sequence[pl.Callback] = ()
) -> pl.Trainer:
    """Lightning's trainer with this run's speed and rhythm of validation, and callbacks ``before``
    and ``after`` those of the configuration.

    Raises:
        UsageError: Lightning refuses its arguments, the batch cannot be shared by the processes, or
            the precision needs a GPU.
    """
    chosen = [build(node, f"callbacks.{name}") for name, node in config["callbacks"].items()]
    speed: Speed = build(config["speed"], "speed")
    bar = any(isinstance(callback, pl.callbacks.ProgressBar) for callback in chosen)
    make: Callable[..., pl.Trainer] = build(config["trainer"], "trainer")
    try:
        trainer = make(
            max_epochs=1,  # one pass over the budget
            val_check_interval=config["budget"]["checkpoint_every"],
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            logger=False,
            callbacks=[speed, *before, *chosen, *after],
            use_distributed_sampler=False,  # the data know rank and world themselves
            enable_checkpointing=False,
            enable_progress_bar=bar,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:  # e.g. a ModelCheckpoint among the callbacks
        raise UsageError(f"trainer or callbacks: {' '.join(str(error).split())}") from None
    batch, world = config["budget"]["batch"], trainer.world_size
    if batch % world:
        raise UsageError(
            f"budget.batch={batch} counts the crops of all processes together and cannot be shared "
            f"by {world}: give a multiple of {world}, or trainer.devices={batch}."
        )
    if config["trainer"].get("precision") in ("16-mixed", 16) and trainer.precision != "16-mixed":
        raise UsageError(
            f"trainer.precision=16-mixed needs a GPU, and Lightning would train in "
            f"{trainer.precision} here: give trainer.precision=bf16-mixed or 32-true."
        )
    return trainer


def measure(
    system: RestorationSystem, best: dict[str, Any] | None, scores: pd.DataFrame
) -> dict[str, Any]:
    """Counts and scores of a finished run, with its ``best`` validation."""
    trained = networks_of(system).items()
    sizes = {kind: sum(p.numel() for p in network.parameters()) for kind, network in trained}
    multiply_adds = None  # of one 256 x 256 image
    with suppress(Exception):  # a network of one's own that cannot be run without data
        multiply_adds = count(system.generator).multiply_adds
    return {
        "iterations": system.iteration,
        **told(system.trainer),
        "parameters": dict.fromkeys(NETWORKS, 0) | sizes,
        "multiply_adds": multiply_adds,
        "d_saturated_at": int(getattr(system, "d_saturated_at", 0)) or None,
        "best_validation": best,
        **measure_test(system, scores),
    }


def told(trainer: pl.Trainer) -> dict[str, Any]:
    """How the training was computed, and why not as it was asked for."""
    (speed,) = (each for each in trainer.callbacks if isinstance(each, Speed))  # type: ignore[attr-defined]
    eager = speed.fell_back
    return {"speed": speed.name} | ({"not_recorded": eager} if eager else {})


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
