"""Does it pay to wrap G and D in a DDP of their own, instead of one for both?

One wrapper has to find the unused half in every backward pass, and sums the gradients of both
networks in each; two wrappers sum each network's gradients once. Both take the same steps.

    python benchmarks/ddp.py [processes] [iterations]    # gloo on CPUs, nccl on GPUs
"""

import os
import sys
import time

import torch
import torch.multiprocessing as mp
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ir_lightning.losses.adversarial import LeastSquares
from ir_lightning.networks.discriminators.patchgan import PatchGAN
from ir_lightning.networks.generators.encoder_decoder import UNet

CROP, ROUNDS = 128, 5


class Both(nn.Module):
    """G and D in one module, chosen by a word, as one wrapper sees them."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator

    def forward(self, which: str, *images: Tensor) -> Tensor:
        return getattr(self, which)(*images)


def step(generate: nn.Module, judge: nn.Module, sides: dict[str, list[nn.Parameter]]) -> None:
    """The three passes of an adversarial iteration, without the optimizers."""
    loss, pair = LeastSquares(), torch.rand(2, 1, 3, CROP, CROP, device=sides["g"][0].device)
    restored = generate(pair[0])
    loss.for_discriminator(judge(pair[0], pair[1]), judge(pair[0], restored.detach())).backward()
    for parameter in sides["d"]:
        parameter.requires_grad_(False)
    loss.for_generator(judge(pair[0], restored)).backward()
    for parameter in sides["d"]:
        parameter.requires_grad_(True)


def process(rank: int, world: int, iterations: int) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29512"}
    cuda = torch.cuda.is_available()
    distributed.init_process_group("nccl" if cuda else "gloo", rank=rank, world_size=world)
    torch.set_num_threads(1)
    device = torch.device("cuda", rank) if cuda else torch.device("cpu")
    networks = UNet().to(device), PatchGAN().to(device)
    sides = {name: list(n.parameters()) for name, n in zip("gd", networks, strict=True)}
    one = DistributedDataParallel(
        Both(*networks), find_unused_parameters=True, forward_sync_buffers=False
    )
    apart = [DistributedDataParallel(n, forward_sync_buffers=False) for n in networks]
    ways = {
        "one wrapper": (lambda x: one("generator", x), lambda x, y: one("discriminator", x, y)),
        "two wrappers": apart,
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):  # in turns, since machines are noisy
        for name, (generate, judge) in ways.items():
            began = time.perf_counter()
            for _ in range(iterations):
                step(generate, judge, sides)
            if cuda:
                torch.cuda.synchronize()
            best[name] = min(best[name], (time.perf_counter() - began) / iterations)
    if rank == 0:
        for name, seconds in best.items():
            print(f"{name}: {1000 * seconds:.0f} ms per iteration")
        print(f"ratio {best['one wrapper'] / best['two wrappers']:.2f}")
    distributed.destroy_process_group()


if __name__ == "__main__":
    processes, iterations = (int(given) for given in [*sys.argv[1:], "2", "10"][:2])
    mp.spawn(process, args=(processes, iterations), nprocs=processes)
