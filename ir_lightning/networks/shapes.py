"""Shapes of the networks: known without building one, and without torch."""

from ir_lightning.arguments import check_whole

DEEPEST = 8  # down-and-up-sampling layers that a generator can have
KERNEL = 4  # edge of every PatchGAN convolution; its padding is 1


def smallest_crop(depth: int) -> int:
    """Side in pixels of the smallest image that ``depth`` halvings leave something of: 2^depth."""
    return int(2**depth)


def level_widths(depth: int, width: int) -> list[int]:
    """Channels after each of ``depth`` down-samplings: w, 2w, 4w, 8w, 8w, ... (pix2pix)."""
    return [width * min(2**level, 8) for level in range(depth)]


def patch_strides(layers: int) -> list[int]:
    """Strides of a PatchGAN of ``layers`` convolutions, two or more: 2, ..., 2, 1, 1 (pix2pix)."""
    check_whole("layers", layers, 2)
    return [2] * (layers - 2) + [1, 1]


def smallest_image(layers: int) -> int:
    """The smallest edge, in pixels, from which a PatchGAN of ``layers`` makes a logit."""
    return _edge(layers, padding=1)


def receptive_field(layers: int) -> int:
    """Edge, in pixels, of the patch that one logit judges: 70 for the five layers of pix2pix."""
    return _edge(layers, padding=0)


def _edge(layers: int, padding: int) -> int:
    """Edge of the image, or with padding of its smallest part, behind a logit."""
    edge = 1
    for stride in reversed(patch_strides(layers)):
        edge = (edge - 1) * stride + KERNEL - 2 * padding
    return edge
