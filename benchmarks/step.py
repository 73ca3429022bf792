"""How fast an iteration is beside the published pix2pix step, and how far from the floor.

    python -m benchmarks.step                  # 256x256, batch 1, U-Net 8 + PatchGAN, 64 channels
    python -m benchmarks.step --rounds 20

The floor is the time that the machine needs for a step's multiply-adds at the rate of its best
matrix product, plus the time for what Adam reads and writes at the rate of a copy.
"""

import argparse
import statistics

import torch

from benchmarks.harness import OtherProcess, compared, in_turns, record, serve
from benchmarks.threads import AS_TORCH
from benchmarks.ways import batch, our_step, our_system, published_like, published_step
from ir_lightning.networks.meta import count

CROP, DEPTH, WIDTH = 256, 8, 64
OVERRIDES = [
    f"depth={DEPTH}",
    "budget=paper",
    f"width={WIDTH}",
    "budget.epochs=null",
    "budget.iterations=1000",
]
# Bytes a parameter: weight, gradient and two moments read, all but the gradient written.
ADAM_TRAFFIC = 7 * 4


def rates() -> dict[str, float]:
    """Multiply-adds a second of a large matrix product, bytes a second of a large copy."""
    left, right = torch.rand(2, 2048, 2048)
    source = torch.rand(2**26)
    target = torch.empty_like(source)
    seconds = in_turns({"product": lambda: left @ right, "copy": lambda: target.copy_(source)}, 7)
    return {
        "multiply_adds": 2048**3 / min(seconds["product"]),
        "bytes": 2 * source.nbytes / min(seconds["copy"]),
    }


def work(crop: int = CROP, images: int = 1) -> dict[str, float]:
    """Multiply-adds and bytes of Adam of one step."""
    system = our_system(OVERRIDES)
    parameters = sum(p.numel() for p in system.parameters())
    generator = images * count(system.generator, (crop, crop)).multiply_adds
    judged = images * count(Side(system.discriminator), (crop, crop)).multiply_adds
    # G: forward, and the gradients of weights and features. D: three times forward, twice the
    # gradients of its weights, and three times those of its features.
    return {"multiply_adds": 3 * generator + 8 * judged, "bytes": ADAM_TRAFFIC * parameters}


class Side(torch.nn.Module):
    """A discriminator that judges one image against itself."""

    def __init__(self, discriminator: torch.nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.discriminator(image, image)


def serve_step(way: str) -> None:
    """Do iterations of one way, in a process of its own."""
    images = batch(1, CROP)
    if way == "published":
        serve(published_step(published_like(our_system(OVERRIDES), DEPTH, WIDTH), images))
    else:
        serve(our_step(our_system(OVERRIDES), images, torch.bfloat16 if way == "bf16" else None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--serve", choices=["published", "float32", "bf16"])
    arguments = parser.parse_args()
    if arguments.serve:
        serve_step(arguments.serve)
        return

    ways = {
        way: OtherProcess("benchmarks.step", "--serve", way, environment=environment)
        for way, environment in (("published", AS_TORCH), ("float32", {}), ("bf16", {}))
    }
    before = rates()
    seconds = in_turns(ways, arguments.rounds, warm_up=2)
    after = rates()
    for way in ways.values():
        way.close()
    rate = {key: max(before[key], after[key]) for key in before}
    needed = work()
    floor = sum(needed[key] / rate[key] for key in needed)
    shares = {f"{n}_share_of_floor": floor / statistics.median(t) for n, t in seconds.items()}
    says = "published step / ours, 256x256, batch 1, U-Net 8 + PatchGAN"
    theirs = seconds["published"]
    figures = [
        compared("step-cpu-float32", f"{says}, float32", theirs, seconds["float32"], 1.35),
        compared("step-cpu-bf16", f"{says}, bf16 autocast", theirs, seconds["bf16"], 2.0),
    ]
    record("step", figures, floor={"seconds": floor, **needed}, rates=rate, **shares)
    print(f"floor {floor:.2f} s; " + ", ".join(f"{n} {s:.2f}" for n, s in shares.items()))


if __name__ == "__main__":
    main()
