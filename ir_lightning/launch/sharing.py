"""How many runs of a sweep share a GPU: as many as train more together, found by a short try."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from ir_lightning.launch.child import CONTEXT, write_into
from ir_lightning.launch.config import device_here
from ir_lightning.launch.preflight import resolve

SHARE = "hydra.launcher.ray.remote.num_gpus"
AUTO = "auto"

SECONDS = 3.0
"""For which each number of trainings is timed."""
PATIENCE = 180.0
"""Seconds in which a training has to be warm."""
WORTH = 1.1
"""What more trainings at once have to bring; each has its start-up and its memory."""
MOST = 16
ENDLESS = 10**9
BESIDE = 2**30
"""Bytes that a training needs beside its tensors: a context of CUDA, and what is not reused."""

Rates = dict[int, float]
"""Iterations a second of k trainings together, by k."""


def is_open(master: DictConfig) -> bool:
    """Whether the sweep's launcher leaves it to a try."""
    return bool(OmegaConf.select(master, SHARE) == AUTO)


def look_for_gpu(master: DictConfig) -> None:
    """Where there is no GPU to share, runs share the cores."""
    if is_open(master) and device_here(master.trainer.accelerator) == "cpu":
        _give(master, 0)


def settle(
    master: DictConfig, waiting: int, dearest: DictConfig, need: int, memory: int, gpus: int
) -> str:
    """Let as many runs share a GPU as train more together; a sentence about it.

    Args:
        master: the sweep's configuration, whose launcher gets the share of a run.
        waiting: runs that are not trained yet.
        dearest: the configuration that needs the most memory; it is tried.
        need: bytes of its tensors.
        memory: bytes of a GPU; 0: not known.
        gpus: of this machine.
    """
    ray = master.hydra.launcher.ray
    gpus = ray.init.get("num_gpus") or gpus
    cores = (ray.init.get("num_cpus") or os.cpu_count() or 1) / ray.remote.num_cpus
    limits = {
        "run": -(-waiting // max(1, gpus)),
        "core": int(cores / max(1, gpus)),
    }
    if memory:
        limits["memory"] = memory // (need + BESIDE)
    scarce = min(limits, key=lambda name: limits[name])
    most = min(limits[scarce], MOST)
    if most > 1:
        endless = dearest.copy()
        with open_dict(endless):
            endless.budget.update(iterations=ENDLESS, checkpoint_every=ENDLESS, epochs=None)
        best, told = try_out(resolve(endless), most)
    else:
        best, told = 1, f"there is no {scarce} for a second one"
    _give(master, 10_000 // best / 10_000)  # Ray counts in ten-thousandths
    return f"Runs that share a GPU: {best} ({told})."


def _give(master: DictConfig, share: float) -> None:
    with read_write(master.hydra):
        OmegaConf.update(master, SHARE, share)


def best_of(measure: Callable[[int], float], most: int) -> tuple[int, Rates]:
    """Double the number of trainings as long as that is worth it; the number, and all rates."""
    best, rates = 1, {1: measure(1)}
    while best < most:
        more = min(2 * best, most)
        rates[more] = measure(more)
        if rates[more] < WORTH * rates[best]:
            break
        best = more
    return best, rates


def try_out(plain: dict[str, Any], most: int) -> tuple[int, str]:
    """Train one configuration in up to ``most`` processes at once, and see how many are best.

    Nothing is written, and nothing of it is kept. ``plain`` is resolved, with a budget that does
    not end meanwhile. Trainings that do not get warm, e.g. for lack of memory, are not counted; if
    none does, one run is best. The second value says what was found.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        trainings: list[tuple[Any, Connection]] = []
        try:
            for _ in range(most):
                ours, theirs = CONTEXT.Pipe()
                child = CONTEXT.Process(target=_train, args=(theirs, plain, log))
                child.start()
                theirs.close()
                trainings.append((child, ours))
            warm = _warm([pipe for _, pipe in trainings])
            for child, pipe in trainings:
                if pipe not in warm:
                    child.kill()  # it would warm up beside those that are timed

            def measure(k: int) -> float:
                for pipe in warm[:k]:
                    pipe.send(SECONDS)
                return float(sum(pipe.recv() for pipe in warm[:k]))

            if warm:
                best, rates = best_of(measure, len(warm))
                each = ", ".join(f"{rate:.1f} of {k}" for k, rate in rates.items())
                return best, f"iterations a second: {each}"
        except (EOFError, OSError):  # one died while it was timed
            pass
        finally:
            for child, _ in trainings:
                child.kill()
                child.join()
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        last = next((line for line in reversed(lines) if line.strip()), "it ended without a word")
        return 1, f"they could not be tried: {last}"


def _warm(pipes: Sequence[Connection]) -> list[Connection]:
    """Those of trainings that have got warm."""
    warm, cold, until = [], list(pipes), time.monotonic() + PATIENCE
    while cold and (ready := wait(cold, until - time.monotonic())):
        for pipe in ready:
            assert isinstance(pipe, Connection)
            cold.remove(pipe)
            try:
                pipe.recv()
            except (EOFError, OSError):
                continue
            warm.append(pipe)
    return warm


def _train(pipe: Connection, plain: dict[str, Any], log: Path) -> None:
    """A process that trains until it is killed, and is timed whenever it is sent some seconds."""
    write_into(log)
    from ir_lightning.training.paced import train_paced  # takes seconds to import

    train_paced(plain, pipe)
