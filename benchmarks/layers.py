"""Where a layer's matrix product beats its convolution, on a CPU: the reason for a constant.

    python -m benchmarks.layers              # forward and backward, in turns, at two widths

``OUTWEIGHED`` of ``networks/convolutions.py`` is read off this table: from which ratio of
weights to positions the product pays at batch 1, 2 and 4.
"""

import argparse
import statistics
from collections.abc import Callable
from unittest import mock

import torch
from torch import nn

from benchmarks.harness import in_turns
from ir_lightning.networks import convolutions
from ir_lightning.networks.convolutions import Convolution, TransposedConvolution


def trained(layer: nn.Module, features: torch.Tensor, product: bool) -> Callable[[], None]:
    """Forward and backward, computed in one of the two ways."""

    def step() -> None:
        with mock.patch.object(convolutions, "OUTWEIGHED", 0 if product else 2**40):
            layer(features).sum().backward()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--widths", type=int, nargs="*", default=[64, 16])
    arguments = parser.parse_args()
    print("layer                        batch  weights / positions  convolution / product")
    for width in arguments.widths:
        for side in (1, 2, 4, 8, 16, 32):
            for batch in (1, 2, 4):
                wide, narrow = 8 * width, 8 * width if side < 16 else 4 * width
                layers = {
                    "down": (Convolution(narrow, wide, 4, 2, 1), narrow, 2 * side, wide),
                    "up": (TransposedConvolution(wide, narrow, 4, 2, 1), wide, side, wide),
                }
                for name, (layer, channels, edge, rows) in layers.items():
                    features = torch.rand(batch, channels, edge, edge, requires_grad=True)
                    ways = {way: trained(layer, features, way == "product") for way in WAYS}
                    seconds = in_turns(ways, arguments.rounds)
                    pairs = zip(seconds["convolution"], seconds["product"], strict=True)
                    ratio = statistics.median(a / b for a, b in pairs)
                    label = f"{name} {narrow} and {wide} at {side}x{side}"
                    print(f"{label:28} {batch:5} {rows / (batch * side**2):20.2f} {ratio:22.2f}")


WAYS = ("convolution", "product")

if __name__ == "__main__":
    main()
