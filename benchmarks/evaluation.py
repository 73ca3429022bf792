"""What it takes to restore and to score a large image.

python -m benchmarks.evaluation            # 2048 x 1024
"""

import argparse
import statistics

import numpy as np
import torch

from benchmarks.harness import Figure, compared, in_turns, record
from benchmarks.ways import our_system
from ir_lightning.inference import Restorer, score

TILE, OVERLAP = 1024, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    size = f"{arguments.width}x{arguments.height}"
    random = np.random.default_rng(0)
    shape = (arguments.height, arguments.width, 3)
    clean = random.integers(0, 256, shape, dtype=np.uint8)
    degraded = np.clip(clean.astype(int) + random.integers(-9, 10, shape), 0, 255).astype(np.uint8)

    system = our_system(["depth=5", "width=32", "norm=batch", "budget=smoke"])
    generator = system.generator.eval()
    whole = Restorer(generator, torch.device("cpu"))
    tiled = Restorer(generator, torch.device("cpu"), TILE, OVERLAP)
    ways = {"tiles": lambda: tiled(degraded), "whole": lambda: whole(degraded)}
    seconds = in_turns(ways, arguments.rounds)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    protocols = ("rgb8", "y-matlab")
    scored = in_turns(
        {name: lambda name=name: score(degraded, clean, name) for name in protocols},  # type: ignore[misc]
        arguments.rounds,
    )
    torch.set_num_threads(threads)
    figures = [
        compared(
            "restore-tiles",
            f"{size} in tiles of {TILE} / whole, U-Net 5 of width 32, seconds",
            *(seconds["tiles"], seconds["whole"], 1.1, False),
        ),
        *(
            Figure(
                f"score-{name}",
                f"seconds to score a {size} pair by {name}, PSNR and SSIM, one core",
                *(statistics.median(took), 0.5, False, (min(took), max(took))),
            )
            for name, took in scored.items()
        ),
    ]
    record("evaluation", figures)


if __name__ == "__main__":
    main()
