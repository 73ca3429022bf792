"""A run that is killed with -9 at a chosen moment, in a process of its own."""

import os
import signal
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from lightning.pytorch import Callback

from ir_lightning.launch.child import CONTEXT
from ir_lightning.launch.run import run
from tests.conftest import CONF, SMALL

# How often each moment comes in an undisturbed run of 11 iterations, saved after each.
MOMENTS = {
    "step": 11,  # in the middle of an iteration
    "between": 11,  # D has been updated and G has not
    "write": 11,  # a checkpoint is half on the disk
    "rename": 9,  # last.ckpt has become previous.ckpt, and there is no new one yet
    "validation": 3,
    "test": 2,
    "signal": 11,  # SIGTERM in an iteration
    "signal in validation": 3,
}


class Counter(Callback):
    """What somebody's own callback may count."""

    def __init__(self) -> None:
        self.counts = {"iterations": 0, "last batch": -1, "validations": 0, "images": 0}

    def on_train_batch_end(
        self, trainer: Any, module: Any, out: Any, batch: Any, index: int
    ) -> None:
        self.counts["iterations"] += 1
        self.counts["last batch"] = index

    def on_validation_start(self, *_: Any) -> None:
        self.counts["validations"] += 1

    def on_validation_batch_end(self, *_: Any) -> None:
        self.counts["images"] += 1

    def state_dict(self) -> dict[str, Any]:
        return self.counts

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.counts = dict(state_dict)


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def counted(number: int, before: Any, then: Any) -> Any:
    """``before``, but the ``number``-th call (from 1) is ``then`` instead."""
    calls = 0

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return then(*args, **kwargs) if calls == number else before(*args, **kwargs)

    return wrapper


def plant(moment: str, number: int) -> None:
    """Arrange that this process dies in the ``number``-th of such moments."""
    from ir_lightning.systems.adversarial import AdversarialSystem as System
    from ir_lightning.training.checkpoint import Checkpoints

    write, sync, replace = Checkpoints._write, os.fsync, Path.replace

    def half(self: Checkpoints, whole: memoryview, *args: Any, **kwargs: Any) -> None:
        """Half of the bytes come to the disk, and then the process dies."""
        os.fsync = lambda handle: die(sync(handle))
        write(self, whole[: len(whole) // 2], *args, **kwargs)

    def renamed(self: Path, target: Path) -> Any:
        done = replace(self, target)
        if target.name == "previous.ckpt":
            kept()  # there is no last.ckpt now
        return done

    kept = counted(number, lambda: None, die)

    def signalled(self: System, *args: Any) -> Any:
        """SIGTERM, which a run answers when it has finished what it is at."""
        os.kill(os.getpid(), signal.SIGTERM)
        return originals[moment](self, *args)

    originals = {"signal": System.training_step, "signal in validation": System.validation_step}
    owner, name, times = {
        "signal": (System, "training_step", number),
        "signal in validation": (System, "validation_step", number),
        "step": (System, "training_step", number),
        "between": (System, "step_optimizer", 2 * number),
        "validation": (System, "validation_step", number),
        "test": (System, "test_step", number),
        "write": (Checkpoints, "_write", number),
        "rename": (Path, "replace", number),
    }[moment]
    special = {"write": half, "signal": signalled, "signal in validation": signalled}
    deadly = special.get(moment, die)
    planted = renamed if moment == "rename" else counted(times, getattr(owner, name), deadly)
    setattr(owner, name, planted)


def live(overrides: list[str], fault: tuple[str, int] | None) -> None:
    """The life of the process: a run, with or without a fault."""
    import torch

    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if fault is not None:
        plant(*fault)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=[*SMALL, *overrides])
    run(config, overrides)


def attempt(overrides: list[str], fault: tuple[str, int] | None = None) -> int:
    """Run in a process of its own; its exit code: -9 if it was killed, 143 if it was stopped."""
    process = CONTEXT.Process(target=live, args=(overrides, fault))
    process.start()
    process.join()
    code = process.exitcode
    assert code is not None
    return code
