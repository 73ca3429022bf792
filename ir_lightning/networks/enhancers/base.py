"""What every detail-enhancing module has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from ir_lightning.arguments import check_wholes, written
from ir_lightning.errors import UsageError

Positions = int | Sequence[int]


class Block(nn.Module):
    """One built enhancer: (B, C, H, W) to (B, out_channels, H, W).

    ``layers`` are applied one after the other; a subclass may override ``forward`` instead.
    """

    begins_with_input: ClassVar[bool] = False
    """The first C channels of what ``forward`` returns are its input, untouched. The enhancer of
    such a block has ``keep_input=True`` by default."""

    def __init__(self, out_channels: int, *layers: nn.Module) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.layers(features))


def put_input_in_front(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    """(B, C, H, W) and what a block made of it, (B, D, H, W), to (B, C + D, H, W)."""
    return torch.cat([inputs[0], output], dim=1)


def drop_input(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    """The inverse of :func:`put_input_in_front`."""
    return output[:, inputs[0].shape[1] :]


class Enhancer(ABC):
    """A recipe for the blocks in front of encoder layers; a subclass only has to write ``build``.

    Args:
        positions: before which encoder layers a block stands, counted from 1, one number or
            several (Fig. 13 of arXiv 2212.02198). The block at position 1 sees the degraded
            image in [-1, 1], the block at k the features of layer k - 1. It feeds its encoder
            layer only: the skip connection stays the unenhanced feature.
        keep_input: whether the encoder layer also sees the block's input, untouched, in front of
            what the block makes of it. The default is the module's own way.

    Raises:
        UsageError: positions are missing, repeated or not whole numbers from 1; ``keep_input`` is
            neither true nor false; in a subclass also if another number is out of range or the norm
            unknown.
    """

    def __init__(self, positions: Positions = (1,), keep_input: bool = False) -> None:
        several = [positions] if isinstance(positions, int) else positions
        check_wholes("positions", several, distinct=True)
        self.positions = tuple(several)
        if not isinstance(keep_input, bool):
            raise UsageError(f"keep_input={written(keep_input)}: give true or false.")
        self.keep_input = keep_input

    @abstractmethod
    def build(self, channels: int) -> Block:
        """A new block for (B, channels, H, W), which keeps its input or not, as the module does.

        Its ``nn.Conv2d`` are redrawn by the generator, unless they say how
        (:func:`~ir_lightning.networks.initialise`).
        """

    def block(self, channels: int) -> Block:
        """A new block for (B, channels, H, W), with its input kept or not, for each position.

        A hook of ``build``'s block and not a module around it: its weights have the same names
        either way, and so the same first values.
        """
        block = self.build(channels)
        if self.keep_input and not block.begins_with_input:
            block.out_channels += channels
            block.register_forward_hook(put_input_in_front)
        elif block.begins_with_input and not self.keep_input:
            block.out_channels -= channels
            block.register_forward_hook(drop_input)
        return block
