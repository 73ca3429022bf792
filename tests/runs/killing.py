"""A run that is killed with -9 at a chosen moment, in a process of its own."""

import io
import os
import signal
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from ir_lightning.run import run
from ir_lightning.runs.apart import CONTEXT
from tests.conftest import CONF, SMALL

MOMENTS = ("step", "between", "write", "rename", "validation", "test")


def die() -> None:
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
    import torch

    from ir_lightning.systems.adversarial import AdversarialSystem as System

    def half(state: Any, file: Any) -> None:
        whole = io.BytesIO()
        save(state, whole)
        file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        file.flush()
        die()

    save, step, replace = torch.save, System.training_step, Path.replace
    deadly = lambda *_, **__: die()  # noqa: E731
    if moment == "step":
        System.training_step = counted(number, step, deadly)  # type: ignore[method-assign]
    elif moment == "between":  # D has been updated and G has not
        System.descend = counted(2 * number, System.descend, deadly)  # type: ignore[method-assign]
    elif moment == "write":
        torch.save = counted(number, save, half)
    elif moment == "rename":  # last.ckpt is already previous.ckpt, and there is no new one yet

        def renamed(self: Path, target: Path) -> Any:
            done = replace(self, target)
            if target.name == "previous.ckpt":
                kept()
            return done

        kept = counted(number, lambda: None, die)
        Path.replace = renamed  # type: ignore[method-assign,assignment]
    elif moment == "validation":
        System.validation_step = counted(number, System.validation_step, deadly)  # type: ignore[method-assign]
    elif moment == "test":
        System.test_step = counted(number, System.test_step, deadly)  # type: ignore[method-assign]


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
    """Run in a process of its own; its exit code, -9 if it was killed."""
    process = CONTEXT.Process(target=live, args=(overrides, fault))
    process.start()
    process.join()
    code = process.exitcode
    assert code is not None
    return code
