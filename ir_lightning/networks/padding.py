"""How a fully convolutional network takes images of any size."""

from torch import Tensor
from torch.nn import functional as F


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """(B, C, H, W) continued right and below until both edges are a multiple of ``multiple``.

    The border pixels are repeated: a reflection would need an image larger than its padding.
    An image that already fits is returned itself, without a copy.
    """
    below, right = (-edge % multiple for edge in image.shape[-2:])
    if below == right == 0:
        return image
    return F.pad(image, (0, right, 0, below), mode="replicate")
