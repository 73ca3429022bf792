"""What several processes that train or judge together have to agree on."""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from lightning.pytorch import LightningModule

Value = TypeVar("Value")


def any_process(system: LightningModule, mine: bool) -> bool:
    """Whether it is so in any process; every process has to ask."""
    if system.trainer.world_size == 1:
        return mine
    return bool(system.trainer.strategy.reduce_boolean_decision(mine, all=False))


def means(system: LightningModule, mine: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """The values, each its mean over all processes; every process has to ask."""
    values = torch.stack([value.detach().double() for value in mine.values()])
    if system.trainer.world_size > 1:
        values = system.trainer.strategy.reduce(values, reduce_op="mean")
    return dict(zip(mine, values.tolist(), strict=True))


def from_all(system: LightningModule, mine: Mapping[int, Value]) -> dict[int, Value]:
    """The entries of all processes together; every process has to ask."""
    shares: list[Any] = [dict(mine)]
    if system.trainer.world_size > 1:
        shares = [None] * system.trainer.world_size
        torch.distributed.all_gather_object(shares, dict(mine))
    return {place: value for share in shares for place, value in share.items()}


def gathered(system: LightningModule, rows: Mapping[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all processes in the order of their keys, each ``image`` once.

    The last images of an evaluation are given to two processes when their number does not divide,
    so that all have the same number of steps.
    """
    together = from_all(system, rows)
    once: dict[str, dict[str, Any]] = {}
    for place in sorted(together):
        once.setdefault(together[place]["image"], together[place])
    return list(once.values())
