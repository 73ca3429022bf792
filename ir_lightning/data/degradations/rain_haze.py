"""Near rain and far fog, the composition of RainCityscapes."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ir_lightning.arguments import written
from ir_lightning.data.degradations.atmosphere import transmission
from ir_lightning.data.degradations.degradation import Degradation
from ir_lightning.data.degradations.parameters import Range, fixed, interval
from ir_lightning.data.degradations.scene import Scene
from ir_lightning.data.degradations.streaks import Streaks
from ir_lightning.errors import UsageError

RAIN_CITYSCAPES = ((0.01, 0.005, 0.01), (0.02, 0.01, 0.005), (0.03, 0.015, 0.002))
"""The weather of RainCityscapes, from its file names: drizzle, rain, downpour."""


class RainHaze(Degradation):
    """Depth-aware rain: O = I (1 - R - A) + R + A0 A.

    R = R_pattern t_r, t_r = exp(-alpha max(d1, d)): rain in front of near objects is seen as
    streaks. A = 1 - exp(-beta d): in front of far ones it is fog. Hu et al., "Depth-attentional
    Features for Single-image Rain Removal" (DAF-Net, RainCityscapes), CVPR 2019. A drop of radius
    a is wider than a pixel up to the distance d1 = 2 f a; nearer objects lose no more streaks.

    Args:
        weather: (alpha per metre, beta per metre, drop radius a in metres), values that move
            together; each image gets one of the triples, all equally likely. As in the paper,
            alpha >= beta, so that R + A never exceeds 1.
        light: atmospheric light A0, gray, in parts of full scale.
        distance: metres to the farthest point of a scene (relative depth 1).
        focal: focal length f in pixels (Cityscapes: 2262).
        streaks: R_pattern, the rain at distance zero; None for the default rain.
    """

    needs_depth: ClassVar[bool] = True

    def __init__(
        self,
        weather: Sequence[Sequence[float]] = RAIN_CITYSCAPES,
        light: Range = (0.7, 1.0),
        distance: float = 150.0,
        focal: float = 2262.0,
        streaks: Streaks | None = None,
    ) -> None:
        try:
            self.weather = [[float(number) for number in triple] for triple in weather]
            legal = [a >= b >= 0 and radius >= 0 for a, b, radius in self.weather]
        except (TypeError, ValueError):
            legal = []
        if not (legal and all(legal)):
            raise UsageError(
                f"weather={written(weather)}: give a list of [alpha, beta, drop radius] with "
                "alpha >= beta >= 0."
            )
        self.light = interval("light", light, 0, 1)
        self.distance = fixed("distance", distance, 0, 1e5)
        self.focal = fixed("focal", focal, 0, 1e5)
        self.streaks = streaks or Streaks(brightness=(0.6, 1.0))

    def degrade(self, scene: Scene) -> Tensor:
        alpha, beta, radius = scene.choice(self.weather)
        light = scene.uniform(self.light)
        pattern = self.streaks.layers(scene).sum(1, keepdim=True).clamp(max=1)
        metres = self.distance * scene.depth
        nearest = 2 * self.focal * radius
        rain = pattern * transmission(torch.maximum(nearest, metres), alpha)
        fog = 1 - transmission(metres, beta)
        return scene.clean * (1 - rain - fog) + rain + light * fog
