"""First weights: made by the seed and the name of a weight, whatever stands beside it.

Two networks that differ in one part begin alike in all others, so that a comparison of the two can
be paired by seed.
"""

import hashlib

import torch
from torch import Tensor, nn

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
"""Kinds of networks: the same name in two of them does not stand for the same weights."""


def initialise(network: nn.Module, kind: str) -> None:
    """Draw the first weights of a network, those of each layer from a random generator of its own.

    pix2pix's (Isola et al. 2017, arXiv 1611.07004): convolutions from N(0, 0.02) with bias 0, batch
    norm scales from N(1, 0.02) with shift 0. A layer that has another law says so by a method
    ``first_weights(random)``, which is called with the ``torch.Generator`` to draw from; nothing is
    drawn for the layers in it. All others keep the weights that they were built with.

    Args:
        network: calls this at the end of its constructor; to call it again changes nothing. On the
            meta device nothing is drawn.
        kind: ``generator`` or ``discriminator``.
    """
    _draw(network, kind)


def _draw(layer: nn.Module, place: str) -> None:
    if own := getattr(layer, "first_weights", None):
        first = next(layer.parameters(), None)
        if first is not None and not first.is_meta:
            own(random_of(place, first.device))
        return
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        _normal(layer.weight, 0.0, place)
        _zero(layer.bias)
    elif isinstance(layer, nn.BatchNorm2d):
        _normal(layer.weight, 1.0, place)
        _zero(layer.bias)
    for name, inner in layer.named_children():
        _draw(inner, f"{place}.{name}")


def random_of(place: str, device: torch.device) -> torch.Generator:
    """The random generator of a place in a network, such as ``generator.encoder.0.0.weight``.

    Its seed is a hash of the place and of what torch was last seeded with (``torch.manual_seed``):
    it does not depend on what has been drawn since, nor on the process.
    """
    text = f"{torch.initial_seed()}/{place}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])  # a CPU's takes 32 bits
    return torch.Generator(device).manual_seed(seed)


def _normal(weight: Tensor | None, mean: float, place: str) -> None:
    if weight is not None and not weight.is_meta:
        random = random_of(f"{place}.weight", weight.device)
        nn.init.normal_(weight, mean, 0.02, generator=random)


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
