"""Rain streaks, the composition of Rain800."""

from dataclasses import dataclass, field

from torch import Tensor

from ir_lightning.data.compositions.composition import Composition
from ir_lightning.data.compositions.draws import Draws
from ir_lightning.data.compositions.streaks import Streaks


@dataclass(frozen=True)
class Rain(Composition):
    """Linear additive rain: O = J + S, with S the sum of the streak layers.

    Zhang, Sindagi, Patel, "Image De-raining Using a Conditional Generative Adversarial Network"
    (ID-CGAN, Rain800), arXiv 1701.05957. Drop sizes, directions and intensities vary per image.

    Args:
        streaks: the rain that is added.
    """

    streaks: Streaks = field(default_factory=Streaks)

    def compose(self, clean: Tensor, depth: Tensor, draws: Draws) -> Tensor:
        return clean + self.streaks.layers(draws).sum(1, keepdim=True)
