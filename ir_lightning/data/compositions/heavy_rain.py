"""Rain behind its own veil, the composition of Outdoor-Rain."""

from dataclasses import dataclass, field
from typing import ClassVar

from kornia.filters import gaussian_blur2d
from torch import Tensor

from ir_lightning.data.compositions.atmosphere import transmission, veil
from ir_lightning.data.compositions.composition import Composition
from ir_lightning.data.compositions.draws import Draws
from ir_lightning.data.compositions.parameters import Range, settle
from ir_lightning.data.compositions.streaks import Streaks

BLUR_WINDOW = 9


@dataclass(frozen=True)
class HeavyRain(Composition):
    """Streaks that the air veils: I = T (J + S_1 + ... + S_n) + (1 - T) A, T = exp(-beta d).

    Li, Cheong, Tan, "Heavy Rain Image Restoration: Integrating Physics Model and Conditional
    Adversarial Learning" (Outdoor-Rain), CVPR 2019, arXiv 1904.05050. As in its generator the
    scene is first blurred a little and J + sum S is limited to full scale.

    Args:
        beta: attenuation per unit of relative depth.
        light: atmospheric light A, gray, in parts of full scale.
        blur: standard deviation in pixels of the blur of J, at most 2; 0 leaves J sharp.
        streaks: the layers S_i.
    """

    needs_depth: ClassVar[bool] = True

    beta: Range = (3.0, 4.2)
    light: Range = (0.3, 0.9)
    blur: Range = (0.0, 1.0)
    streaks: Streaks = field(default_factory=Streaks)

    def __post_init__(self) -> None:
        settle(self, beta=(0, 100), light=(0, 1), blur=(0, 2))

    def compose(self, clean: Tensor, depth: Tensor, draws: Draws) -> Tensor:
        beta, light = draws.uniform(self.beta), draws.uniform(self.light)
        rainy = self._blurred(clean, draws) + self.streaks.layers(draws).sum(1, keepdim=True)
        return veil(rainy.clamp(max=1), transmission(depth, beta), light)

    def _blurred(self, clean: Tensor, draws: Draws) -> Tensor:
        sigma = draws.uniform(self.blur).clamp(min=1e-3).view(-1, 1).expand(-1, 2)
        return gaussian_blur2d(clean, BLUR_WINDOW, sigma, border_type="replicate")
