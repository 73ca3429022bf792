"""Large images in overlapping tiles, blended without seams."""

from collections.abc import Callable

import torch
from torch import Tensor

from ir_lightning.arguments import check_whole
from ir_lightning.errors import UsageError


def restore_tiled(
    restore: Callable[[Tensor], Tensor], degraded: Tensor, tile: int, overlap: int
) -> Tensor:
    """Restore (B, 3, H, W) tile by tile, on its device and in its type.

    Only one tile at a time passes through ``restore``; neighbours fade into each other.

    Args:
        restore: (B, 3, h, w) to the same size, for h, w <= tile.
        degraded: (B, 3, H, W).
        tile: largest height and width that ``restore`` gets, in pixels.
        overlap: shared pixels of neighbouring tiles, 0 <= overlap < tile.

    Raises:
        UsageError: tile or overlap is out of range.
    """
    check_tiles(tile, overlap)
    height, width = degraded.shape[-2:]
    restored = torch.zeros_like(degraded, dtype=torch.float64)  # many small parts add up in it
    columns = _fades(width, tile, overlap)
    for top, row_fade in _fades(height, tile, overlap):
        for left, column_fade in columns:
            window = (..., slice(top, top + len(row_fade)), slice(left, left + len(column_fade)))
            fade = (row_fade[:, None] * column_fade).to(restored)
            restored[window] += restore(degraded[window]).to(restored) * fade
    return restored.to(degraded)


def check_tiles(tile: int, overlap: int) -> None:
    """Refuse tiles that cannot cover an image, with a UsageError."""
    check_whole("tile", tile, 1)
    check_whole("overlap", overlap, 0)
    if overlap >= tile:
        raise UsageError(f"overlap={overlap}: give less than the side of a tile, tile={tile}.")


def _fades(length: int, tile: int, overlap: int) -> list[tuple[int, Tensor]]:
    """Start and weights of the tiles along one axis; at every pixel the weights sum to one."""
    count = max(1, -((overlap - length) // (tile - overlap)))
    # As few tiles as it takes, and as small as they can then be: hardly a pixel is restored twice.
    size = -(-(length + (count - 1) * overlap) // count)
    starts = [(length - size) * i // max(1, count - 1) for i in range(count)]
    position = torch.arange(size, dtype=torch.float64)
    ramp = torch.minimum(position, size - 1 - position).add(1).clamp(max=overlap + 1)
    total = torch.zeros(length, dtype=torch.float64)
    for start in starts:
        total[start : start + size] += ramp
    return [(start, ramp / total[start : start + size]) for start in starts]
