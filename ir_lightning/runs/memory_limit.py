"""Whether a device has the memory that a training needs."""

from typing import Any, NamedTuple

import psutil
import torch

from ir_lightning.errors import UsageError
from ir_lightning.runs.memory import GIB, Estimate, Unknown

# Numbers of an enhancer with which its need grows.
ENHANCER_SIZES = ("layers", "growth", "blocks", "width", "steps", "recursions")


class Memory(NamedTuple):
    """What there is."""

    bytes: int
    device: str
    """A name for people."""


def available(accelerator: str) -> Memory:
    """All the memory of the device that Lightning would train on: the GPU's or the computer's.

    Args:
        accelerator: ``trainer.accelerator``. If a GPU is meant, CUDA is started.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        return Memory(gpu.total_memory, gpu.name)
    return Memory(psutil.virtual_memory().total, "this computer")


def refuse_too_large(config: dict[str, Any], need: Estimate | Unknown, there: Memory) -> None:
    """Refuse a training that cannot fit; one that nothing is known about may try.

    Args:
        config: plain, resolved configuration, the one that was estimated.
        need: what :func:`.memory.estimate` said.
        there: what :func:`available` said.

    Raises:
        UsageError: one sentence with what is needed, what there is, and the keys to lower.
    """
    if isinstance(need, Unknown) or need.certain <= there.bytes:
        return
    budget, enhancer = config["budget"], config.get("enhancer") or {}
    keys = {
        "budget.crop": budget["crop"],
        "budget.batch": budget["batch"] if budget["batch"] > 1 else None,
        "width": config.get("width"),
        **{f"enhancer.{key}": enhancer.get(key) for key in ENHANCER_SIZES},
    }
    *firsts, last = [f"{key}={value}" for key, value in keys.items() if value]
    parts = ("activations", "weights", "gradients", "optimizer", "workspace")
    told = ", ".join(f"{part} {getattr(need, part) / GIB:.1f}" for part in parts)
    raise UsageError(
        f"This training needs {need.total / GIB:.1f} GiB of memory ({told}), and {there.device} "
        f"has {there.bytes / GIB:.1f}: lower {', '.join(firsts) + ' or ' if firsts else ''}{last}."
    )
