"""What every detail-enhancing module has in common.

The smallest enhancer is one class::

    class Widen(Enhancer):
        def build(self, channels: int) -> Block:
            return Block(2 * channels, nn.Conv2d(channels, 2 * channels, 3, padding=1))
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from ir_lightning.errors import UsageError


class Block(nn.Module):
    """One built enhancer: (B, C, H, W) to (B, out_channels, H, W).

    Args:
        out_channels: what the encoder layer behind it will receive.
        layers: applied one after the other; a subclass may override ``forward`` instead.
    """

    def __init__(self, out_channels: int, *layers: nn.Module) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


class Enhancer(ABC):
    """A recipe for the blocks in front of encoder layers; a subclass only has to write ``build``.

    Args:
        positions: before which encoder layers a block stands, counted from 1, one number or
            several (Fig. 13 of arXiv 2212.02198). The block at position 1 sees the degraded
            image in [-1, 1], the block at position k the features of layer k - 1. It feeds
            its encoder layer only: the skip connection stays the unenhanced feature.

    Raises:
        UsageError: if positions are missing, repeated or not whole numbers from 1.
    """

    def __init__(self, positions: int | Sequence[int] = (1,)) -> None:
        self.positions = (positions,) if isinstance(positions, int) else tuple(positions)
        whole = all(isinstance(k, int) and k >= 1 for k in self.positions)
        if not (self.positions and whole and len(set(self.positions)) == len(self.positions)):
            raise UsageError(
                "enhancer.positions must be one or more different whole numbers from 1, "
                f"not {positions!r}."
            )

    @abstractmethod
    def build(self, channels: int) -> Block:
        """A new block for (B, channels, H, W); called once for each position.

        The generator draws the first weights of every ``nn.Conv2d`` in it.
        """


def check_whole(key: str, value: int, least: int = 1) -> int:
    """``value`` itself.

    Raises:
        UsageError: if it is no whole number of at least ``least``; names ``enhancer.key``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"enhancer.{key} must be a whole number from {least}, not {value!r}.")
    return value


def check_dilations(dilations: Sequence[int]) -> tuple[int, ...]:
    """The dilations of a block's convolutions.

    Raises:
        UsageError: if there is none or one is no whole number from 1.
    """
    whole = all(isinstance(dilation, int) and dilation >= 1 for dilation in dilations)
    if not (dilations and whole):
        raise UsageError(
            f"enhancer.dilations must be one or more whole numbers from 1, not {list(dilations)!r}."
        )
    return tuple(dilations)
