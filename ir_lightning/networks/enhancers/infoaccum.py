"""InfoAccum, the paper's detail-enhancing module."""

from collections.abc import Sequence

from ir_lightning.errors import UsageError
from ir_lightning.networks.enhancers.accumulation import AccumulationBlock
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.norm import norm_named


class InfoAccum(Enhancer):
    """Eq. 14 of arXiv 2212.02198; ``layers`` = 15 is the InfoAccum-15 of the tables.

    Args:
        layers: L; 0 changes nothing (the start of a sweep over L).
        growth: new channels of each branch in each layer.
        dilations: one branch for each.
        positions: see :class:`Enhancer`.
        norm: ``instance``, ``batch`` or ``none``, on the new features.

    Raises:
        UsageError: if a number is out of range or the norm unknown.
    """

    def __init__(
        self,
        layers: int = 15,
        growth: int = 8,
        dilations: Sequence[int] = (1, 3, 5),
        positions: int | Sequence[int] = (1,),
        norm: str = "instance",
    ) -> None:
        super().__init__(positions)
        if layers < 0:
            raise UsageError(f"enhancer.layers must be 0 or more, not {layers}.")
        if growth < 1:
            raise UsageError(f"enhancer.growth must be 1 or more, not {growth}.")
        if not dilations or min(dilations) < 1:
            raise UsageError(
                f"enhancer.dilations must be one or more numbers from 1, not {dilations!r}."
            )
        self.layers = layers
        self.growth = growth
        self.dilations = tuple(dilations)
        self.norm = norm_named(norm, "enhancer.norm")

    def build(self, channels: int) -> Block:
        return AccumulationBlock(channels, self.layers, self.growth, self.dilations, self.norm)
