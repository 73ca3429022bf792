"""What several processes that train or judge together have to agree on; every one has to ask."""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from lightning.pytorch import LightningModule

Value = TypeVar("Value")


def any_process(system: LightningModule, mine: bool) -> bool:
    """Whether it is so in any process."""
    if system.trainer.world_size == 1:
        return mine
    return bool(system.trainer.strategy.reduce_boolean_decision(mine, all=False))


def means(system: LightningModule, mine: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """The values, each its mean over all processes."""
    values = torch.stack([value.detach().double() for value in mine.values()])
    if system.trainer.world_size > 1:
        values = system.trainer.strategy.reduce(values, reduce_op="mean")
    return dict(zip(mine, values.tolist(), strict=True))


def from_all(system: LightningModule, mine: Mapping[int, Value]) -> dict[int, Value]:
    """The entries of all processes together."""
    shares: list[Any] = [dict(mine)]
    if system.trainer.world_size > 1:
        shares = [None] * system.trainer.world_size
        torch.distributed.all_gather_object(shares, dict(mine))
    return {place: value for share in shares for place, value in share.items()}


def gathered(system: LightningModule, rows: Mapping[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all processes in the order of their keys, each ``image`` once.

    Two processes evaluate the same last images when their number does not divide.
    """
    once: dict[str, dict[str, Any]] = {}
    for _, row in sorted(from_all(system, rows).items()):
        once.setdefault(row["image"], row)
    return list(once.values())
