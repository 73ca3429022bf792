"""The torch half of a run: build the objects, fit, test. Imported only once a run is worth it."""

import logging
import signal
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import nn
from torch.utils.data import DataLoader

from ir_lightning.build import build, refusals
from ir_lightning.data.module import RestorationData
from ir_lightning.data.pair_maker import Pair
from ir_lightning.errors import UsageError
from ir_lightning.networks.cost import count
from ir_lightning.networks.meta import on_meta
from ir_lightning.runs.record import NETWORKS
from ir_lightning.runs.scores import mean_scores, score_table, scores_by_dataset, write_scores
from ir_lightning.systems.restoration import RestorationSystem
from ir_lightning.training.callbacks.gallery import Gallery, ImageGrid
from ir_lightning.training.callbacks.processes import Preemption, RankConsistency, StopRequest
from ir_lightning.training.checkpoint import (
    BEST,
    Checkpoints,
    State,
    load_latest,
    load_state,
    resume,
)
from ir_lightning.training.loggers.curve import CurveLogger
from ir_lightning.training.loggers.result import close, publish
from ir_lightning.training.weights import begin_with, save_network


class Loaders(LightningDataModule):
    """The loaders of this process.

    Args:
        data: of the run.
    """

    def __init__(self, data: RestorationData) -> None:
        super().__init__()
        self.data = data
        self.validation_pairs = data.validation_pairs
        self.test_pairs = data.test_pairs

    def train_dataloader(self) -> DataLoader[Pair]:
        return self.data.train_dataloader(*self._process())

    def val_dataloader(self) -> DataLoader[Pair]:
        return self.data.val_dataloader(*self._process())

    def test_dataloader(self) -> DataLoader[Pair]:
        return self.data.test_dataloader(*self._process())

    def _process(self) -> tuple[int, int]:
        """Rank of this process, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


CHECKPOINTS = "checkpoints"


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
    loggers: list[Logger] = [curve]
    status, trainer = "failed", None
    try:
        trainer = new_trainer(
            config,
            [grid, Gallery(run_dir), saver, Preemption(signals, saver)],
            before=[RankConsistency(config_hash, data.seed)],
        )
        if trainer.is_global_zero:
            add_loggers(loggers, config, run_dir, config_hash)
        trainer.loggers = loggers if trainer.is_global_zero else []
        if state:
            resume(trainer, state)
            del state  # Lightning lets go of it, too
        loaders = Loaders(data)
        trainer.fit(system, loaders)
        scores = test(trainer, system, loaders, run_dir, config["dataset"]["name"])
        measured = measure(system, saver, scores)
        if trainer.is_global_zero:
            guard()
            save_networks(system, config, run_dir)
            leave_scores(run_dir, scores, measured, loggers, grid)
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


def begin(
    system: RestorationSystem, data: RestorationData, config: dict[str, Any], run_dir: Path
) -> State | None:
    """The checkpoint that the run goes on from; without one, networks begin with others' weights.

    Raises:
        DataError: there are checkpoints, but none can be read.
    """
    state = load_latest(run_dir / CHECKPOINTS)
    if state:
        system.iteration = data.start = state["iteration"]
    else:
        for kind in config["pretrain"].get("sources", {}):
            begin_with(getattr(system, kind), kind, config["pretrain"][kind])
    return state


def add_loggers(
    loggers: list[Logger], config: dict[str, Any], run_dir: Path, config_hash: str
) -> None:
    """Build the loggers of the configuration, one by one: each that is there will be closed."""
    for name, node in config["logger"].items():
        make = build(node, f"logger.{name}")
        loggers.append(make(run_dir=run_dir, run_id=config_hash, config=config))


def test(
    trainer: pl.Trainer, system: RestorationSystem, loaders: Loaders, run_dir: Path, dataset: str
) -> pd.DataFrame:
    """Score the test images with the weights that ``evaluation.weights`` chooses.

    Returns:
        The scores (:func:`ir_lightning.runs.scores.score_table`).
    """
    trainer.strategy.barrier("rank 0 has written the last checkpoint")
    if system.evaluation.weights == "best":
        best = load_state(run_dir / CHECKPOINTS / BEST)
        system.generator.load_state_dict(best["generator"])
    trainer.test(system, loaders, verbose=False)
    return score_table(system.test_rows, dataset)


def leave_scores(
    run_dir: Path,
    scores: pd.DataFrame,
    measured: dict[str, Any],
    loggers: list[Logger],
    grid: ImageGrid,
) -> None:
    """Write the scores into the run directory, and send them to the loggers."""
    write_scores(run_dir, scores)
    rows = cast(list[dict[str, Any]], scores.to_dict("records"))
    publish(loggers, measured, rows, grid.draw())


def save_networks(system: RestorationSystem, config: dict[str, Any], run_dir: Path) -> None:
    """Write the trained networks, and how to build them."""
    networks = dict(system.named_children())
    for kind in (kind for kind in NETWORKS if kind in networks):
        save_network(run_dir, kind, networks[kind], config[kind])


def end_processes(trainer: pl.Trainer | None) -> None:
    """Kill the processes that Lightning started for this run: they would wait for this one."""
    launcher = trainer.strategy.launcher if trainer else None
    if isinstance(launcher, _SubprocessScriptLauncher):
        launcher.kill(signal.SIGKILL)


def new_trainer(
    config: dict[str, Any], after: Sequence[pl.Callback], before: Sequence[pl.Callback] = ()
) -> pl.Trainer:
    """Lightning's trainer with this run's callbacks and rhythm of validation.

    Args:
        config: plain, resolved configuration.
        after, before: callbacks that come after and before those of the configuration.

    Raises:
        UsageError: Lightning refuses its arguments, the batch cannot be shared by the processes, or
            the precision needs a GPU.
    """
    chosen = [build(node, f"callbacks.{name}") for name, node in config["callbacks"].items()]
    bar = any(isinstance(callback, pl.callbacks.ProgressBar) for callback in chosen)
    make: Callable[..., pl.Trainer] = build(config["trainer"], "trainer")
    try:
        trainer = make(
            max_epochs=1,  # one pass over the budget
            val_check_interval=config["budget"]["checkpoint_every"],
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            logger=False,
            callbacks=[*before, *chosen, *after],
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


def refuse_unbuildable(config: dict[str, Any], here: bool = True) -> None:
    """Build the system, the callbacks and the trainer of a run, without weights.

    Args:
        config: plain, resolved configuration that has passed the preflight.
        here: the run will be trained on this machine, so that its devices count.

    Raises:
        UsageError: names the key and the value that is refused.
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
