"""Rain streaks: the layer that every rain model adds."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ir_lightning.arguments import check_number, written
from ir_lightning.data.degradations.degradation import Range, Scene, interval
from ir_lightning.errors import UsageError

RAMP = (0.0, 0.08, 0.16, 0.24)  # where a segment's brightness rises, in parts of its length


class Streaks:
    """Layers of falling rain, each the same process seen at another distance.

    In the frame of the falling rain a layer is a sum of vertical segments, one pixel wide, at
    random places: drop i covers its column from v_i to v_i + length_i with brightness b_i. The
    segments' ends are softened, and the layer is magnified by its scale (near rain is wide, long
    and sparse, far rain fine and dense) and turned by the angle of fall. It is "noise, then motion
    blur" of Rain800 and Rain1200, with a length and a brightness for each drop.

    Args:
        angle: degrees from the vertical; positive leans to the right, like "/".
        density: drops per pixel of a layer of scale 1 (scale s has density / s^2).
        length: mean length of an image's segments in pixels at scale 1; drops vary by half of it.
        brightness: of an image's brightest segments, as a part of full scale; drops vary between
            this and a quarter of it.
        scales: magnification of each layer, in output pixels per segment width.
        spread: largest deviation of a layer's angle from the image's, in degrees.
    """

    def __init__(
        self,
        angle: Range = (-30.0, 30.0),
        density: Range = (0.003, 0.006),
        length: Range = (12.0, 28.0),
        brightness: Range = (0.4, 0.6),
        scales: Sequence[float] = (1.0, 1.6, 2.5),
        spread: float = 2.0,
    ) -> None:
        self.angle = interval("angle", angle, -90, 90)
        self.density = interval("density", density, 0, 1)
        self.length = interval("length", length, 1, 500)
        self.brightness = interval("brightness", brightness, 0, 1)
        self.spread = float(check_number("spread", spread, 0, 90))
        given = list(scales) if isinstance(scales, Sequence) else []
        if not given or not all(type(scale) in (int, float) and scale > 0 for scale in given):
            wanted = "one positive magnification for each layer, such as [1, 1.6, 2.5]"
            raise UsageError(f"scales={written(scales)}: give {wanted}.")
        self.scales = [float(scale) for scale in given]

    def layers(self, scene: Scene, amount: Tensor | None = None) -> Tensor:
        """(B, layers, H, W), at least 0: rain; ``amount``, (B,), multiplies an image's density."""
        angle, brightness = scene.uniform(self.angle), scene.uniform(self.brightness)
        density = scene.numbers(self.density) * (1 if amount is None else amount)
        length = scene.numbers(self.length)
        size = scene.clean.shape[2:]
        layers = []
        for scale in self.scales:
            tilt = angle + scene.uniform((-self.spread, self.spread))
            side = math.ceil(math.hypot(*size) / scale) + 3
            edges = _edges(scene.generators, side, density.tolist(), length.tolist())
            segments = scene.place(edges).cumsum(2).clamp(min=0)
            layers.append(_turn(segments[:, None], tilt, scale, size))
        return brightness * torch.cat(layers, 1)


def _edges(
    generators: Sequence[torch.Generator],
    side: int,
    density: Sequence[float],
    length: Sequence[float],
) -> Tensor:
    """(B, side, side): by how much the segments of a canvas rise and fall along its last axis.

    Each image has a generator, a density and a mean length of its segments.
    """
    longest = [1.5 * mean for mean in length]
    counts = [round(d * side * (side + most)) for d, most in zip(density, longest, strict=True)]
    drawn = [torch.rand(4, n, generator=g) for n, g in zip(counts, generators, strict=True)]
    column, place, extent, brightness = torch.cat(drawn, 1)
    of = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))  # each drop's image
    extent = torch.tensor(length)[of] * (0.5 + extent)
    reach = torch.tensor([side + most for most in longest])
    first = place * reach[of] - torch.tensor(longest)[of]
    step = (0.25 + 0.75 * brightness) / len(RAMP)
    parts = torch.tensor([part for ramp in RAMP for part in (ramp, 1 - ramp)])[:, None]
    edge = (first + parts * extent).clamp(0, side).long()
    # One more column, for what ends off the canvas.
    row = (of * side + (column * side).long()) * (side + 1)
    edges = torch.zeros(len(counts) * side * (side + 1))
    edges.index_add_(0, (row + edge).flatten(), torch.stack([step, -step] * len(RAMP)).flatten())
    return edges.view(-1, side, side + 1)[:, :, :side]


def _turn(segments: Tensor, tilt: Tensor, scale: float, size: Sequence[int]) -> Tensor:
    """(B, 1, H, W): the canvas magnified by ``scale`` and turned about its centre."""
    height, width = size
    y = torch.arange(height, device=tilt.device, dtype=tilt.dtype)[:, None] - (height - 1) / 2
    x = torch.arange(width, device=tilt.device, dtype=tilt.dtype) - (width - 1) / 2
    cos, sin = torch.deg2rad(tilt[:, 0]).cos(), torch.deg2rad(tilt[:, 0]).sin()
    down, across = cos * y - sin * x, sin * y + cos * x
    # The last axis of the canvas runs down the fall; grid_sample counts its half-width as 1.
    grid = torch.stack([down, across], -1) * (2 / (scale * segments.shape[-1]))
    return F.grid_sample(segments, grid, align_corners=False)
