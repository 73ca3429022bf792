"""Rain behind its own veil, the composition of Outdoor-Rain."""

from typing import ClassVar

from torch import Tensor

from ir_lightning.data.degradations.atmosphere import transmission, veil
from ir_lightning.data.degradations.degradation import Degradation
from ir_lightning.data.degradations.parameters import Range, interval
from ir_lightning.data.degradations.scene import Scene
from ir_lightning.data.degradations.streaks import Streaks

BLUR_WINDOW = 9


class HeavyRain(Degradation):
    """Streaks that the air veils: I = T (J + S_1 + ... + S_n) + (1 - T) A, T = exp(-beta d).

    Li, Cheong, Tan, "Heavy Rain Image Restoration: Integrating Physics Model and Conditional
    Adversarial Learning" (Outdoor-Rain), CVPR 2019, arXiv 1904.05050. As in its generator the
    scene is first blurred a little and J + sum S is limited to full scale.

    Args:
        beta: attenuation per unit of relative depth.
        light: atmospheric light A, gray, in parts of full scale.
        blur: standard deviation in pixels of the blur of J, at most 2; 0 leaves J sharp.
        streaks: the layers S_i; None for the default rain.
    """

    needs_depth: ClassVar[bool] = True

    def __init__(
        self,
        beta: Range = (3.0, 4.2),
        light: Range = (0.3, 0.9),
        blur: Range = (0.0, 1.0),
        streaks: Streaks | None = None,
    ) -> None:
        self.beta = interval("beta", beta, 0, 100)
        self.light = interval("light", light, 0, 1)
        self.blur = interval("blur", blur, 0, 2)
        self.streaks = streaks or Streaks()

    def degrade(self, scene: Scene) -> Tensor:
        beta, light = scene.uniform(self.beta), scene.uniform(self.light)
        rainy = self._blurred(scene) + self.streaks.layers(scene).sum(1, keepdim=True)
        return veil(rainy.clamp(max=1), transmission(scene.depth, beta), light)

    def _blurred(self, scene: Scene) -> Tensor:
        from kornia.filters import gaussian_blur2d  # not for the preflight

        sigma = scene.numbers(self.blur).clamp(min=1e-3)[:, None].expand(-1, 2)
        return gaussian_blur2d(scene.clean, BLUR_WINDOW, sigma, border_type="replicate")
