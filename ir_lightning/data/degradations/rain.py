"""Rain streaks, the composition of Rain800."""

from torch import Tensor

from ir_lightning.data.degradations.degradation import Degradation
from ir_lightning.data.degradations.scene import Scene
from ir_lightning.data.degradations.streaks import Streaks


class Rain(Degradation):
    """Linear additive rain: O = J + S, with S the sum of the streak layers.

    Zhang, Sindagi, Patel, "Image De-raining Using a Conditional Generative Adversarial Network"
    (ID-CGAN, Rain800), arXiv 1701.05957. Drop sizes, directions and intensities vary per image.

    Args:
        streaks: the rain that is added; None for the default rain.
    """

    def __init__(self, streaks: Streaks | None = None) -> None:
        self.streaks = streaks or Streaks()

    def degrade(self, scene: Scene) -> Tensor:
        return scene.clean + self.streaks.layers(scene).sum(1, keepdim=True)
