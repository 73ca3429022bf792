"""How much of a checkerboard an up-sampling layer has left in a restored image."""

import torch
from torch import Tensor

from ir_lightning.metrics.scoring import Metric

SMALLEST = 3  # pixels to a side


class Checkerboard(Metric):
    """Amplitude of the pattern of period 2 that is in the restored image and not in the clean one.

    In grey levels as the protocol shows them, of 255; 0 for equal images; less is better. It is the
    root mean square, over the planes, of

    ``sqrt(A(pi, 0)^2 + A(0, pi)^2 + A(pi, pi)^2)``, ``A`` = ``restored - clean`` at a frequency,

    which is the standard deviation between the means of the four phases of the 2 x 2 grid. A layer
    that doubles an image lays its pattern in one phase over all of it (Odena et al. 2016,
    "Deconvolution and Checkerboard Artifacts"; Aitken et al. 2017, arXiv 1707.02937), so the means
    are over the whole image: what has no fixed phase averages out, and noise of deviation s leaves
    s sqrt(3 / pixels). Patterns of layers further down, of period 4 and more, are not seen, nor are
    those that change their sign across the image.

    The border counts a quarter, what is next to it three quarters: so a constant and a slope are no
    pattern, and both sides may be odd. Not defined for images of less than 3 pixels on a side.
    """

    higher_is_better = False

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        height, width = clean.shape[-2:]
        if min(height, width) < SMALLEST:
            return clean.new_full((len(clean),), torch.nan)
        amplitudes = _waves(height, clean) @ (restored - clean) @ _waves(width, clean).mT
        amplitudes[..., 0, 0] = 0.0  # the mean is no pattern
        return amplitudes.square().sum((-2, -1)).mean(1).sqrt()


def _waves(length: int, like: Tensor) -> Tensor:
    """(2, length): what a line is multiplied by, and summed, for its mean and its alternation.

    The weights are ones between 1/4, 3/4 and 3/4, 1/4: a moving sum of 1/4, 1/2, 1/4, which is
    twice zero at the frequency pi, so that each row gives nothing of a slope of the other kind.
    """
    weights = torch.ones(length, dtype=like.dtype, device=like.device)
    for border, next_to_it in ((0, 1), (-1, -2)):  # of three pixels the middle one is both times
        weights[border] -= 0.75
        weights[next_to_it] -= 0.25
    weights /= length - 2
    signs = torch.ones_like(weights)
    signs[1::2] = -1
    return torch.stack([weights, weights * signs])
