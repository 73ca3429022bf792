"""Rain as the pictures of Rain800 show it, which were made by hand in an image editor."""

import torch
from torch import Tensor

from ir_lightning.arguments import check_number
from ir_lightning.data.degradations.degradation import Degradation, Range, Scene, interval
from ir_lightning.data.degradations.streaks import Streaks

STREAKS = {
    "density": (0.03, 0.12),
    "length": (4.0, 11.0),
    "brightness": 0.4,
    "scales": (1.0, 1.8),
    "spread": 6.0,
}
"""Dense, short and faint: noise that was blurred along the fall."""


class BlendedRain(Degradation):
    """Streaks blended over a photograph that was toned: O = D + w S (1 - D) + n.

    The paper of Rain800 (arXiv 1701.05957) has O = J + S. Its pictures were made by hand, by
    recipes that hide the rain before what is bright ("screen"), and many of which change the tone
    of the photograph too: D = 1/2 + c (J - 1/2) + e, so that much of it becomes darker. What n
    stands for is compression, which differs between the two halves of a picture.

    Args:
        streaks: S; None for :data:`STREAKS`.
        strength: w; each image draws its logarithm evenly.
        toned: share of the images whose tone is changed.
        contrast: c of those images.
        exposure: e of those images, in parts of full scale.
        grain: standard deviation of n, the same in all channels.
    """

    def __init__(
        self,
        streaks: Streaks | None = None,
        strength: Range = (0.16, 0.85),
        toned: float = 0.6,
        contrast: Range = (0.8, 1.15),
        exposure: Range = (-0.16, -0.02),
        grain: float = 0.012,
    ) -> None:
        self.streaks = streaks or Streaks(**STREAKS)  # type: ignore[arg-type]
        self.strength = interval("strength", strength, 0, 10, positive=True)
        self.toned = float(check_number("toned", toned, 0, 1))
        self.contrast = interval("contrast", contrast, 0, 4)
        self.exposure = interval("exposure", exposure, -1, 1)
        self.grain = float(check_number("grain", grain, 0, 1))

    def degrade(self, scene: Scene) -> Tensor:
        darkened = self._toned(scene)
        rain = scene.logarithmic(self.strength) * self.streaks.layers(scene).sum(1, keepdim=True)
        grain = self.grain * scene.normal(1, *scene.clean.shape[2:])
        return darkened + rain.clamp(max=1) * (1 - darkened) + grain

    def _toned(self, scene: Scene) -> Tensor:
        """D, of some images; J of the others."""
        contrast, exposure = scene.uniform(self.contrast), scene.uniform(self.exposure)
        changed = scene.uniform((0, 1)) < self.toned
        toned = (0.5 + contrast * (scene.clean - 0.5) + exposure).clamp(0, 1)
        return torch.where(changed, toned, scene.clean)
