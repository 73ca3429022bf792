"""The first weights of every network (pix2pix)."""

from torch import nn


def initialise(network: nn.Module) -> None:
    """Convolutions from N(0, 0.02) with bias 0; batch norm scales from N(1, 0.02) with shift 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
