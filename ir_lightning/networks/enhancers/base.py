"""What every detail-enhancing module has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from ir_lightning.arguments import check_wholes

Positions = int | Sequence[int]


class Block(nn.Module):
    """One built enhancer: (B, C, H, W) to (B, out_channels, H, W).

    ``layers`` are applied one after the other; a subclass may override ``forward`` instead.
    """

    def __init__(self, out_channels: int, *layers: nn.Module) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.layers(features))


class Enhancer(ABC):
    """A recipe for the blocks in front of encoder layers; a subclass only has to write ``build``.

    Args:
        positions: before which encoder layers a block stands, counted from 1, one number or
            several (Fig. 13 of arXiv 2212.02198). The block at position 1 sees the degraded
            image in [-1, 1], the block at k the features of layer k - 1. It feeds its encoder
            layer only: the skip connection stays the unenhanced feature.

    Raises:
        UsageError: positions are missing, repeated or not whole numbers from 1; in a subclass also
            if another number is out of range or the norm unknown.
    """

    def __init__(self, positions: Positions = (1,)) -> None:
        several = [positions] if isinstance(positions, int) else positions
        check_wholes("positions", several, distinct=True)
        self.positions = tuple(several)

    @abstractmethod
    def build(self, channels: int) -> Block:
        """A new block for (B, channels, H, W), for each position.

        Its ``nn.Conv2d`` are redrawn by the generator, unless they say how
        (:func:`~ir_lightning.networks.initialise`).
        """
