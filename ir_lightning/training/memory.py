"""How much memory a training needs, and whether its device has that: known before it starts.

The system's own training step is run once on ``meta`` tensors, which have a shape and no data, and
what is alive is counted after every operation. So a new network, loss or system is counted without
anything being written here.
"""

import weakref
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import psutil
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

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

    weights: int
    """Parameters and buffers of the networks and losses."""
    gradients: int
    """Of all parameters that are trained."""
    optimizer: int
    """What the optimizers remember: for Adam two moments of each parameter."""
    activations: int
    """The rest: images, features kept for the backward pass, and what it is working on."""
    workspace: int
    """Room for convolutions to rearrange what they read and write, where that makes the peak.

    A model, measured on CPUs in float32. Others need less, and do without what they cannot get.
    """

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

    Args:
        config: plain, resolved configuration.

    Returns:
        The estimate; or why there is none, if a part cannot be built or cannot run without data.
        Nothing is raised: a part that is wrong fails, with a better message, in the training.
    """
    try:
        # Asking must not change the numbers that the training will draw.
        with torch.random.fork_rng(devices=[]):
            return _estimate(config)
    except Exception as error:  # anything: the parts may be anybody's code
        return Unknown(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")


def _estimate(config: dict[str, Any]) -> Estimate:
    stored, computed = _precision(str(config["trainer"].get("precision", "32-true")))
    crop, batch = config["budget"]["crop"], config["budget"]["batch"]
    with torch.device("meta"):
        system: RestorationSystem = build(config["system"], "system")
    if stored != torch.float32:
        system.to(stored)
    optimizers = _rehearse(system)
    kept = [*system.parameters(), *system.buffers()]
    trained = [p for optimizer in optimizers for p in optimizer.parameters]
    alive = Alive()
    for tensor in kept:
        alive.watch(tensor)
    with alive, Autocast(computed) if computed else nullcontext():
        for parameter in trained:  # those of the iteration before live until they are replaced
            parameter.grad = torch.empty_like(parameter)
        shape = (batch, 3, crop, crop)
        degraded, clean = (torch.empty(shape, dtype=stored, device="meta") for _ in range(2))
        names = [""] * batch
        system.training_step({"name": names, "degraded": degraded, "clean": clean}, 0)
    weights = sum(tensor.nbytes for tensor in kept)
    gradients = sum(parameter.nbytes for parameter in trained)
    moments = sum(optimizer.bytes for optimizer in optimizers)
    activations = alive.peak - weights - gradients
    return Estimate(weights, gradients, moments, activations, alive.busiest - alive.peak)


def _precision(name: str) -> tuple[torch.dtype, torch.dtype | None]:
    """How a precision of Lightning stores weights and images, and what autocast computes in."""
    kind, _, mode = name.partition("-")
    half = {"16": torch.float16, "bf16": torch.bfloat16}.get(kind)
    if half is None:
        return (torch.float64 if kind == "64" else torch.float32), None
    return (half, None) if mode == "true" else (torch.float32, half)


class _Rehearsal:
    """Stands for an optimizer: has the parameters, drops gradients as it would, never steps.

    The step itself is no peak: Adam's fused one needs nothing more, and the activations are gone.
    """

    def __init__(
        self, make: Callable[[Iterable[Tensor]], Optimizer], parameters: Iterable[Tensor]
    ) -> None:
        self.parameters = list(parameters)
        self.param_groups = [{"params": self.parameters, "lr": 0.0}]
        # How much a real one remembers for each byte, seen on a small parameter with data.
        small = Parameter(torch.zeros(16, 16, dtype=self.parameters[0].dtype))
        small.grad = torch.zeros_like(small)
        real = make([small])
        real.step()
        moments = [leaf for leaf in tree_leaves(dict(real.state)) if isinstance(leaf, Tensor)]
        # A count of steps is one number for a whole parameter.
        bytes_seen = sum(moment.nbytes for moment in moments if moment.numel() > 1)
        self.bytes = sum(p.nbytes for p in self.parameters) * bytes_seen // small.nbytes

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Nothing."""


def _rehearse(system: RestorationSystem) -> list[_Rehearsal]:
    """Let the system's step run without a trainer; returns what it has for optimizers."""
    make = system.optimization.optimizer
    system.optimization = replace(
        system.optimization, optimizer=lambda p: cast(Optimizer, _Rehearsal(make, p))
    )
    optimizers = cast(list[_Rehearsal], system.configure_optimizers())
    vars(system).update(
        optimizers=lambda: optimizers if len(optimizers) > 1 else optimizers[0],
        manual_backward=lambda loss: loss.backward(),
        finish_iteration=lambda _: None,  # it reads the losses, and there is nothing to read
    )
    return optimizers


class Alive(TorchDispatchMode):
    """Counts the bytes of all storages that operations make, while they live.

    Views share their tensor's storage, and a storage is counted once.

    Attributes:
        now: bytes that are alive.
        peak: the most that ever were.
        busiest: the most, if a convolution holds a copy of all that it reads and writes.
    """

    ARRANGING = (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self.busiest = 0
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
            self.busiest = max(self.busiest, self.now + sum(t.nbytes for t in tensors))
        return made


class Autocast(TorchFunctionMode):
    """What autocast does to convolutions and matrix products; ``meta`` tensors have none.

    Args:
        dtype: of what they compute.
    """

    HALVED = frozenset(
        {
            *(F.conv1d, F.conv2d, F.conv3d, F.linear, F.scaled_dot_product_attention),
            *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
            *(torch.matmul, torch.mm, torch.bmm, torch.addmm, torch.baddbmm),
            *(Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm),
        }
    )

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self._weights: dict[int, Tensor] = {}  # in half precision, kept to the end as it does

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in self.HALVED:
            args, kwargs = tree_map(self._halve, (args, kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _halve(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        if not (value.is_leaf and value.requires_grad):
            return value.to(self.dtype)
        if id(value) not in self._weights:
            self._weights[id(value)] = value.to(self.dtype)
        return self._weights[id(value)]


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
