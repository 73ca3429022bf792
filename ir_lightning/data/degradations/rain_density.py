"""Light, medium or heavy rain, the composition of Rain1200."""

from torch import Tensor

from ir_lightning.data.degradations.degradation import Degradation
from ir_lightning.data.degradations.parameters import Range, interval
from ir_lightning.data.degradations.scene import Scene
from ir_lightning.data.degradations.streaks import Streaks

LIGHT = (0.05, 0.35)
MEDIUM = (0.35, 0.65)
HEAVY = (0.65, 0.95)


class RainDensity(Degradation):
    """Density-aware additive rain: O = J + S, with S as dense as the image's noise level.

    Zhang, Patel, "Density-aware Single Image De-raining using a Multi-stream Dense Network"
    (DID-MDN, Rain1200), arXiv 1802.07412. There each photograph is rained on in Photoshop, with
    noise of 5-35 % (:data:`LIGHT`), 35-65 % (:data:`MEDIUM`) or 65-95 % (:data:`HEAVY`) that is
    then blurred along the fall. Here the noise level is the part of ``streaks.density`` that
    falls. The three classes are equally wide and equally frequent, so an image's class and its
    level within the class are one uniform draw from 5-95 %.

    Args:
        level: noise level; give one of the three ranges for rain of one class.
        streaks: the rain at level 1; None for the default rain.
    """

    def __init__(self, level: Range = (0.05, 0.95), streaks: Streaks | None = None) -> None:
        self.level = interval("level", level, 0, 1)
        self.streaks = streaks or Streaks(density=0.006)

    def degrade(self, scene: Scene) -> Tensor:
        amount = scene.numbers(self.level)
        return scene.clean + self.streaks.layers(scene, amount).sum(1, keepdim=True)
