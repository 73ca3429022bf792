"""Light, medium or heavy rain, the composition of Rain1200."""

from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from ir_lightning.data.compositions.composition import Composition
from ir_lightning.data.compositions.draws import Draws
from ir_lightning.data.compositions.parameters import Range, settle
from ir_lightning.data.compositions.streaks import Streaks

LIGHT = (0.05, 0.35)
MEDIUM = (0.35, 0.65)
HEAVY = (0.65, 0.95)


@dataclass(frozen=True)
class RainDensity(Composition):
    """Density-aware additive rain: O = J + S, with S as dense as the image's noise level.

    Zhang, Patel, "Density-aware Single Image De-raining using a Multi-stream Dense Network"
    (DID-MDN, Rain1200), arXiv 1802.07412. There each photograph is rained on in Photoshop, with
    noise of 5-35 % (:data:`LIGHT`), 35-65 % (:data:`MEDIUM`) or 65-95 % (:data:`HEAVY`) that is
    then blurred along the fall. Here the noise level is the part of ``streaks.density`` that
    falls. The three classes are equally wide and equally frequent, so an image's class and its
    level within the class are one uniform draw from 5-95 %.

    Args:
        level: noise level; give one of the three ranges for rain of one class.
        streaks: the rain at level 1.
    """

    level: Range = (0.05, 0.95)
    streaks: Streaks = field(default_factory=partial(Streaks, density=0.006, brightness=(0.4, 0.6)))

    def __post_init__(self) -> None:
        settle(self, level=(0, 1))

    def compose(self, clean: Tensor, depth: Tensor, draws: Draws) -> Tensor:
        amount = draws.numbers(self.level)
        return clean + self.streaks.layers(draws, amount).sum(1, keepdim=True)
