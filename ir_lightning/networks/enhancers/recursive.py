"""The recursive deraining module that the paper compares InfoAccum with (Fig. 14)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.arguments import check_whole
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.layers import Norm, norm_named


class RecursiveBlock(Block):
    """H_0 = sigma(W_0 * x), H_t = sigma(W_3 * sigma(W_2 * sigma(W_1 * H_{t-1}))) + H_0.

    The recursions share W_1 (3x3), W_2 (1x1) and W_3 (3x3); a norm is not shared, because the
    batch statistics of one recursion say nothing about the next.

    Args:
        channels: (B, channels, H, W) becomes (B, width, H, W).
        recursions: T.
        width: features.
        norm: behind every convolution.
    """

    def __init__(self, channels: int, recursions: int, width: int, norm: Norm) -> None:
        super().__init__(out_channels=width)
        self.first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), norm(width))
        self.shared = nn.ModuleList(
            nn.Conv2d(width, width, kernel, padding=kernel // 2) for kernel in (3, 1, 3)
        )
        self.recursions = recursions
        self.norms = nn.ModuleList(norm(width) for _ in range(3 * recursions))

    def forward(self, features: Tensor) -> Tensor:
        first = F.leaky_relu_(self.first(features), 0.2)
        recursive = first
        norms = iter(self.norms)
        for _ in range(self.recursions):
            for convolution in self.shared:
                recursive = F.leaky_relu_(next(norms)(convolution(recursive)), 0.2)
            recursive = recursive + first
        return recursive


class Recursive(Enhancer):
    """A sub-network of LPNet (Fu et al., "Lightweight Pyramid Networks for Image Deraining", TNNLS
    2019, arXiv 1805.06173): (B, C, H, W) to (B, width, H, W).

    A feature extraction, then one block of three convolutions with a shortcut from the first
    features, applied ``recursions`` times with the same weights. Kernels, 5 recursions, 16
    features (the finest pyramid level), LeakyReLU(0.2) and a shortcut behind the activation are
    those of the authors' code. Decisions: one sub-network, without the Laplacian pyramid around
    it and without the 1x1 convolution that reconstructs an image, because an encoder takes
    features; so the input does not survive. No norm, but one can be chosen.

    Args:
        recursions: T.
        width: features.
        positions: see :class:`Enhancer`.
        norm: ``instance``, ``batch`` or ``none``, behind every convolution.

    Raises:
        UsageError: if a number is out of range or the norm unknown.
    """

    def __init__(
        self,
        recursions: int = 5,
        width: int = 16,
        positions: int | Sequence[int] = (1,),
        norm: str = "none",
    ) -> None:
        super().__init__(positions)
        self.recursions = check_whole("recursions", recursions, 1)
        self.width = check_whole("width", width, 1)
        self.norm = norm_named(norm)

    def build(self, channels: int) -> Block:
        return RecursiveBlock(channels, self.recursions, self.width, self.norm)
