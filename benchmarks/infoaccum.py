"""What the wide InfoAccum-15 saves over the textbook way of a DenseNet: time and memory.

    python -m benchmarks.infoaccum                 # 256x256, growth 8, dilations 1, 3, 5, batch 1
    python -m benchmarks.infoaccum --device cuda

Textbook: in each layer norm and activation of all that there is, a convolution for each dilation,
and ``torch.cat``. Both are measured forward and backward, and have the same multiply-adds. Memory
is what is kept for the backward pass, which decides how large an image fits.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gpu import PLANNED
from benchmarks.harness import RESULTS, Figure, compared, in_turns, record
from ir_lightning.networks.enhancers.infoaccum import InfoAccum

DILATIONS = (1, 3, 5)
GROWTH = 8
LAYERS = 15


class Textbook(nn.Module):
    """Norm, activation, convolutions, concatenation: as published dense blocks are written."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        new = len(DILATIONS) * GROWTH
        self.layers = nn.ModuleList()
        for made in range(layers):
            there = channels + new * made
            convolutions = (nn.Conv2d(there, GROWTH, 3, padding=d, dilation=d) for d in DILATIONS)
            self.layers.append(nn.ModuleList([nn.InstanceNorm2d(there), *convolutions]))

    def forward(self, features: Tensor) -> Tensor:
        for norm, *convolutions in self.layers:
            active = F.leaky_relu(norm(features), 0.2)
            features = torch.cat([features, *(layer(active) for layer in convolutions)], 1)
        return features


def kept_bytes(block: nn.Module, image: Tensor) -> int:
    """Bytes that live at the end of the forward pass, beyond weights and image."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        made = block(image)
    kept[made.untyped_storage().data_ptr()] = made.untyped_storage().nbytes()
    own = {p.untyped_storage().data_ptr() for p in (*block.parameters(), image)}
    return sum(size for key, size in kept.items() if key not in own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    device = arguments.device
    image = (torch.rand(1, 3, arguments.size, arguments.size) * 2 - 1).to(device)
    wide = InfoAccum(LAYERS, GROWTH, DILATIONS).build(3).to(device)
    textbook = Textbook(3, LAYERS).to(device)

    def trained(block: nn.Module, dtype: torch.dtype | None = None):
        def step() -> None:
            with torch.autocast(device, dtype or torch.bfloat16, enabled=dtype is not None):
                loss = block(image).float().mean()
            loss.backward()
            block.zero_grad()
            if device == "cuda":
                torch.cuda.synchronize()

        return step

    ways = {
        "textbook": trained(textbook),
        "wide": trained(wide),
        "wide bf16": trained(wide, torch.bfloat16),
    }
    seconds = in_turns(ways, arguments.rounds)
    says = f"InfoAccum-{LAYERS} / textbook dense block"
    theirs = seconds["textbook"]
    memory = kept_bytes(wide, image) / kept_bytes(textbook, image)
    by_layers = {
        n: kept_bytes(InfoAccum(n, GROWTH, DILATIONS).build(3).to(device), image)
        for n in (5, 10, 15)
    }
    linear = (by_layers[15] - by_layers[10]) / (by_layers[10] - by_layers[5])
    if device == "cuda":
        gpu = PLANNED["infoaccum-gpu"].of(seconds["wide"], theirs)
        record("gpu_infoaccum", [gpu], arguments.out)
        return
    figures = [
        compared("infoaccum-cpu-float32", f"{says}, seconds", seconds["wide"], theirs, 0.25, False),
        compared("infoaccum-cpu-bf16", f"{says}, bf16", seconds["wide bf16"], theirs, 0.16, False),
        Figure("infoaccum-memory", f"{says}, bytes kept for backward", memory, 0.30, False),
        Figure(
            "infoaccum-memory-linear",
            "bytes that layers 11 to 15 add / what layers 6 to 10 add",
            linear,
            1.05,
            False,
            details={"bytes": by_layers},
        ),
    ]
    record("infoaccum", figures, arguments.out)


if __name__ == "__main__":
    main()
