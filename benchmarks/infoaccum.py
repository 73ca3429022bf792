"""How much the wide InfoAccum saves over eq. 14 as it is written (arXiv 2212.02198).

    python benchmarks/infoaccum.py            # 256x256, 15 layers, batch 1

Both have the same weights and give the same numbers; the time is forward and backward, the best
of several runs, on the GPU if there is one.
"""

import argparse
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ir_lightning.networks.enhancers.infoaccum import InfoAccum

DILATIONS = (1, 3, 5)
GROWTH = 8


class Plain(nn.Module):
    """Eq. 14 to the letter: every layer convolves all that is there, and concatenates."""

    def __init__(self, wide: nn.Module, layers: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.ModuleList(
                nn.Conv2d(3 + len(DILATIONS) * GROWTH * layer, GROWTH, 3, padding=d, dilation=d)
                for d in DILATIONS
            )
            for layer in range(layers)
        )
        weights = dict(wide.named_parameters())
        for layer, branches in enumerate(self.branches):
            for number, branch in enumerate(branches.children()):
                own = [
                    weights[f"spread.{made}.{number}.weight"][(layer - made) * GROWTH :][:GROWTH]
                    for made in range(layer + 1)
                ]
                bias = weights[f"spread.0.{number}.bias"][layer * GROWTH :][:GROWTH]
                branch.load_state_dict({"weight": torch.cat(own, dim=1), "bias": bias})

    def forward(self, x: Tensor) -> Tensor:
        for branches in self.branches:
            new = torch.cat([branch(x) for branch in branches.children()], dim=1)
            x = torch.cat([x, F.leaky_relu_(F.instance_norm(new), 0.2)], dim=1)
        return x


def best_time(network: nn.Module, image: Tensor, repeats: int) -> float:
    """Seconds of the fastest of ``repeats`` forward and backward passes, after a warm-up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        network(image).sum().backward()
        if image.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--layers", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"

    torch.manual_seed(0)
    wide = InfoAccum(arguments.layers, GROWTH, DILATIONS).build(3)
    plain = Plain(wide, arguments.layers)
    image = torch.rand(1, 3, arguments.size, arguments.size, device=device) * 2 - 1
    seconds = {}
    for name, network in {"plain": plain, "wide": wide}.items():
        seconds[name] = best_time(network.to(device), image, arguments.repeats)
        print(f"{name:>5}: {seconds[name]:.3f} s forward and backward on {device}")
    with torch.no_grad():
        difference = (wide(image) - plain(image)).abs().max().item()
    print(f"plain / wide = {seconds['plain'] / seconds['wide']:.2f}, difference {difference:.1e}")


if __name__ == "__main__":
    main()
