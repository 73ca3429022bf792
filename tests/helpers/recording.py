"""What a CUDA graph does, on a CPU: operations recorded once, and repeated without Python."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

WAITS = (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero, torch.ops.aten.masked_select)
"""What needs a number on the host, or a size that depends on one."""
FETCHES = ("aten.where.Scalar", "aten.where.ScalarSelf", "aten.where.ScalarOther")
"""What lays a number of the host down on the device, and waits until it has arrived."""


class Tape(TorchDispatchMode):
    """Writes every operation down, with the very tensors that it read and made.

    Raises:
        RuntimeError: an operation would wait for the device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in WAITS or str(func) in FETCHES or _from_elsewhere(args, kwargs):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        made = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, made))
        return made


def _from_elsewhere(*given: Any) -> bool:
    """Whether an operation has tensors of two devices: one would have to be fetched."""
    return len({leaf.device for leaf in tree_leaves(given) if isinstance(leaf, Tensor)}) > 1


class TapeRecording:
    """A recording as :class:`ir_lightning.training.graph.Recording` describes it.

    Nothing of Python is repeated: a number that Python computed stays what it was, as on a GPU.
    """

    def __init__(self) -> None:
        self.tape = Tape()
        self.losses: dict[str, Tensor] = {}
        self.repeated = 0

    def warm_up(self, work: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        return work()

    def record(self, work: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        with self.tape:
            self.losses = work()
        return self.losses

    def repeat(self) -> None:
        self.repeated += 1
        now: dict[int, Any] = {}

        def current(value: Any) -> Any:
            return now.get(id(value), value)

        with torch.no_grad():
            for func, args, kwargs, made in self.tape.operations:
                args, kwargs = tree_map(current, (args, kwargs))
                again = func(*args, **kwargs)
                now |= zip(map(id, tree_leaves(made)), tree_leaves(again), strict=True)
            for loss in self.losses.values():
                loss.copy_(current(loss))
