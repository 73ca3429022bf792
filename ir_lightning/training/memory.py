"""How much memory a training needs, and whether its device has that: known before it starts."""

import weakref
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import psutil
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ir_lightning.build import build
from ir_lightning.errors import UsageError
from ir_lightning.systems.restoration import RestorationSystem

GIB = 2**30


@dataclass(frozen=True)
class Estimate:
    """Bytes of all tensors at the peak of a training step, by what they are for.

    Not in it: the program itself (about half a GiB), a GPU's context, batches that wait in the
    loader, and what an allocator cannot reuse. What seems just to fit may not.
    """

    weights: int  # parameters and buffers of the networks and losses
    gradients: int  # of all parameters that are trained
    optimizer: int  # what the optimizers remember: for Adam two moments of each parameter
    activations: int  # images, features kept for the backward pass, and what it is working on
    workspace: int  # room for convolutions to rearrange; a model, and they can do without

    @property
    def certain(self) -> int:
        """What no device can do without."""
        return self.weights + self.gradients + self.optimizer + self.activations

    @property
    def total(self) -> int:
        """What to expect."""
        return self.certain + self.workspace


@dataclass(frozen=True)
class Unknown:
    """A training whose need cannot be told beforehand; it may well work."""

    reason: str


def estimate(config: dict[str, Any]) -> Estimate | Unknown:
    """What one training needs on its device, in a fraction of a second.

    Or why that is not known: a part cannot be built or run without data. Nothing is raised.
    """
    try:
        with torch.random.fork_rng(devices=[]):  # the training must draw the same numbers
            return _estimate(config)
    except Exception as error:  # anything: the parts may be anybody's code
        return Unknown(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")


def _estimate(config: dict[str, Any]) -> Estimate:
    """Run the system's own step on ``FakeTensorMode``'s shapes, and count what is alive after each
    operation. (torch's ``MemTracker`` takes twice the time, and refuses a network called twice.)
    """
    stored, computed = _precision(str(config["trainer"].get("precision", "32-true")))
    crop, batch = config["budget"]["crop"], config["budget"]["batch"]
    alive = Alive()
    with FakeTensorMode(allow_non_fake_inputs=True):
        before = torch.get_default_dtype()
        torch.set_default_dtype(stored)  # as Lightning has it while networks are built
        try:
            system: RestorationSystem = build(config["system"], "system")
        finally:
            torch.set_default_dtype(before)
        optimizers = without_trainer(system)
        trained = [p for o in optimizers for group in o.param_groups for p in group["params"]]
        with alive:
            for tensor in (*system.parameters(), *system.buffers()):
                alive.watch(tensor)
            weights = alive.now
            for parameter in trained:  # as an iteration before has left it
                parameter.grad = torch.zeros_like(parameter)
            gradients = alive.now - weights
            for optimizer in optimizers:
                optimizer.step()
            moments = alive.now - weights - gradients
            shape = (batch, 3, crop, crop)
            images = {k: torch.empty(shape, dtype=stored) for k in ("degraded", "clean")}
            alive.peak = alive.busiest = alive.now
            with torch.autocast("cpu", computed) if computed else nullcontext():
                system.training_step({"name": [""] * batch, **images}, 0)
    activations = alive.peak - weights - gradients - moments
    return Estimate(weights, gradients, moments, activations, alive.busiest - alive.peak)


def _precision(name: str) -> tuple[torch.dtype, torch.dtype | None]:
    """How a precision of Lightning stores weights and images, and what autocast computes in."""
    kind, _, mode = name.partition("-")
    half = {"16": torch.float16, "bf16": torch.bfloat16}.get(kind)
    if half is None:
        return (torch.float64 if kind == "64" else torch.float32), None
    return (half, None) if mode == "true" else (torch.float32, half)


def without_trainer(system: RestorationSystem) -> list[Optimizer]:
    """Let the system's step run by itself; returns its optimizers."""
    optimizers = cast(list[Optimizer], system.configure_optimizers())
    vars(system).update(
        optimizers=lambda: optimizers if len(optimizers) > 1 else optimizers[0],
        manual_backward=lambda loss: loss.backward(),
        finish_iteration=lambda _: None,  # it reads the losses, and there is nothing to read
    )
    return optimizers


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all storages that operations make, while they live, each once.

    Attributes:
        now: bytes that are alive.
        peak: the most that ever were.
        busiest: the most, if a convolution holds a copy of all planes that it reads and writes.
    """

    ARRANGING = (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = self.busiest = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def watch(self, tensor: Tensor) -> None:
        """Count a tensor from now until its storage is freed."""
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return

        def freed(_: object) -> None:
            del self._known[key]
            self.now -= size

        self._known[key] = weakref.ref(storage, freed)
        self.now += size
        self.peak = max(self.peak, self.now)
        self.busiest = max(self.busiest, self.now)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self.watch(leaf)
        if func.overloadpacket in self.ARRANGING:
            tensors = [leaf for leaf in tree_leaves((args, made)) if isinstance(leaf, Tensor)]
            copied = sum(t.nbytes for t in tensors if not _arranged(t))
            self.busiest = max(self.busiest, self.now + copied)
        return made


def _arranged(tensor: Tensor) -> bool:
    """Whether convolutions take a tensor as it lies: the channels of a pixel together."""
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


class Memory(NamedTuple):
    """What there is, and the ``device``, by a name for people."""

    bytes: int
    device: str


def available(accelerator: str) -> Memory:
    """All the memory of the device that Lightning would train on: the GPU's or the computer's.

    ``accelerator`` is ``trainer.accelerator``. If a GPU is meant, CUDA is started.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        return Memory(gpu.total_memory, gpu.name)
    return Memory(psutil.virtual_memory().total, "this computer")


def refuse_too_large(config: dict[str, Any], need: Estimate | Unknown, there: Memory) -> None:
    """Refuse a training that cannot fit, with a UsageError that says what to lower."""
    if isinstance(need, Unknown) or need.certain <= there.bytes:
        return
    sizes = [f"budget.{key}={config['budget'][key]}" for key in ("crop", "batch")]
    for network in ("generator", "enhancer"):
        numbers = {k: n for k, n in (config.get(network) or {}).items() if type(n) is int and n > 1}
        sizes += [f"{network}.{key}={n}" for key, n in numbers.items() if key != "channels"]
    *firsts, last = [size for size in sizes if not size.endswith("=1")]
    parts = ("activations", "weights", "gradients", "optimizer", "workspace")
    told = ", ".join(f"{part} {getattr(need, part) / GIB:.1f}" for part in parts)
    raise UsageError(
        f"This training needs {need.total / GIB:.1f} GiB of memory ({told}), and {there.device} "
        f"has {there.bytes / GIB:.1f}: lower {', '.join(firsts) + ' or ' if firsts else ''}{last}."
    )
