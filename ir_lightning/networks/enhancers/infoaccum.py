"""InfoAccum, the paper's detail-enhancing module."""

from collections.abc import Sequence

from ir_lightning.arguments import check_whole, check_wholes
from ir_lightning.networks.enhancers.accumulation import AccumulationBlock
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.layers import norm_named


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
        self.layers = check_whole("layers", layers, 0)
        self.growth = check_whole("growth", growth, 1)
        self.dilations = tuple(check_wholes("dilations", dilations))
        self.norm = norm_named(norm)

    def build(self, channels: int) -> Block:
        return AccumulationBlock(channels, self.layers, self.growth, self.dilations, self.norm)
