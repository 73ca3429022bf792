"""A loss term that fails on purpose, for tests of what a sweep does about it."""

import os
import signal
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

FAULTS = {4: "exception", 5: "nan", 6: "kill"}


class Fault:
    """Fails in the runs with certain seeds, until the file ``mended`` exists.

    Args:
        seed: the run's; see :data:`FAULTS`.
        mended: the file.
        diary: a file in which each training leaves a line with its seed.
    """

    weight = 1.0

    def __init__(self, seed: int, mended: str, diary: str) -> None:
        self.fault = None if Path(mended).exists() else FAULTS.get(seed)
        self.line, self.diary = f"{seed}\n", Path(diary)

    def __call__(self, restored: Tensor, clean: Tensor) -> Any:
        if not isinstance(restored, FakeTensor):  # the memory is only estimated
            with self.diary.open("a") as file:
                file.write(self.line)
            self.line = ""
        if self.fault == "exception":
            raise RuntimeError("a bug")
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return restored.mean() * (torch.nan if self.fault == "nan" else 0.0)
