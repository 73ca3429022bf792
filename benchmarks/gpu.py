"""The figures that need a GPU.

    python -m benchmarks.gpu step --out FOLDER       # published step / ours
    python -m benchmarks.gpu memory --out FOLDER     # of the paper's best method
    python -m benchmarks.gpu packed --out FOLDER     # several runs on one GPU
    python -m benchmarks.gpu restore --out FOLDER    # 2048 x 1024, whole and in tiles

Each writes ``gpu_NAME.json`` as soon as there is something to say. ``gpu/bench.sh`` runs them all.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import RESULTS, Figure, in_turns, record
from benchmarks.step import work
from benchmarks.ways import (
    batch,
    let_record,
    our_step,
    our_system,
    published_like,
    published_step,
)
from ir_lightning.training.callbacks.speed import choose_algorithms

DEVICE = "cuda"
CASES = {"256": (256, 1), "512": (512, 1), "256-batch8": (256, 8)}
DEPTH, WIDTH = 8, 64
LENGTH = ("budget.epochs=null", "budget.iterations=100000", "optimizer.lr=0.0002")
BEST = ("method=unet5_infoaccum_subpixel", "budget=paper", *LENGTH)
GIB = 2**30
STEP = "published step / speed=fast, U-Net 8 + PatchGAN"
BEST_METHOD = "GiB that UNet-5 + InfoAccum-15 + SubPixUpsamp needs"
LARGE = "2048x1024"
PLANNED = {
    figure.name: figure
    for figure in (
        Figure("step-gpu-256", f"{STEP}, 256x256, batch 1", None, 4.0),
        Figure("step-gpu-512", f"{STEP}, 512x512, batch 1", None, 4.0),
        Figure("step-gpu-256-batch8", f"{STEP}, 256x256, batch 8", None, 4.0),
        Figure("infoaccum-gpu", "InfoAccum-15 / textbook dense block, seconds", None, 0.30, False),
        Figure("memory-gpu-512", f"{BEST_METHOD} at 512x512 / 11", None, 1, False),
        Figure("memory-gpu-1024", f"{BEST_METHOD} at 1024x1024 / 40", None, 1, False),
        Figure("packed-gpu-4", "runs an hour, 4 side by side on a GPU / alone", None, 2.5),
        Figure("packed-gpu-8", "runs an hour, 8 side by side on a GPU / alone", None, 2.5),
        Figure("restore-gpu-tiles", f"{LARGE} in tiles of 512 / whole, seconds", None, 1.1, False),
        Figure("restore-gpu-bf16", f"{LARGE}, float32 / bf16, seconds", None, 1.0),
    )
}
"""What :mod:`benchmarks` calls unmeasured, until it has been run on a GPU."""


def wait() -> None:
    """Until the GPU has done everything."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


@contextmanager
def algorithms(reproducible: bool | None) -> Iterator[None]:
    """Those of ``speed=exact`` or ``fast``; None: as PyTorch comes."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    if reproducible is not None:
        choose_algorithms(reproducible)
        torch.backends.cudnn.benchmark = not reproducible
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(False)


def repeated(
    step: Callable[[], object], times: int, reproducible: bool | None
) -> Callable[[], float]:
    """Many iterations as one way; a way measures itself, per iteration."""

    def do() -> float:
        with algorithms(reproducible):
            wait()
            began = time.perf_counter()
            for _ in range(times):
                step()
            wait()
        return (time.perf_counter() - began) / times

    return do


def rates() -> dict[str, float]:
    """Multiply-adds a second of a large product in bf16 and TF32, bytes a second of a copy."""
    size = 8192 if DEVICE == "cuda" else 512
    found = {}
    with algorithms(False):
        for name, dtype in (("bf16", torch.bfloat16), ("tf32", torch.float32)):
            left, right = torch.rand(2, size, size, device=DEVICE, dtype=dtype)
            do = repeated(lambda left=left, right=right: left @ right, 10, False)  # type: ignore[misc]
            found[name] = size**3 / min(in_turns({name: do}, 5)[name])
        source = torch.rand(2**28 if DEVICE == "cuda" else 2**20, device=DEVICE)
        target = torch.empty_like(source)
        copy = repeated(lambda: target.copy_(source), 10, False)
        found["bytes"] = 2 * source.nbytes / min(in_turns({"copy": copy}, 5)["copy"])
    return found


def step_ways(crop: int, size: int, times: int) -> dict[str, Callable[[], float]]:
    """The published iteration and ours: as it is, recorded, in several precisions and layouts."""
    images = batch(size, crop, DEVICE)
    overrides = [f"depth={DEPTH}", f"width={WIDTH}", "budget=paper", *LENGTH]

    def system(wide: bool | None = None) -> Any:
        made = our_system([*overrides, f"budget.batch={size}"], DEVICE)
        if wide is not None:
            let_record(made, wide)
        return made

    published = published_step(published_like(system(), DEPTH, WIDTH), images)
    steps = {
        "published": (published, None),
        "exact": (our_step(system(), images), True),
        "recorded tf32": (our_step(system(False), images), False),
        "recorded bf16": (our_step(system(False), images, torch.bfloat16), False),
        "fast": (our_step(system(True), images, torch.bfloat16), False),
        "eager bf16": (our_step(system(), images, torch.bfloat16), False),
    }
    return {name: repeated(step, times, kind) for name, (step, kind) in steps.items()}


def measure_step(folder: Path, rounds: int = 7) -> None:
    figures: list[Figure] = []
    rate = rates()
    more: dict[str, Any] = {"rates": rate}
    for name, (crop, size) in CASES.items():
        ways = step_ways(crop, size, times=20 if DEVICE == "cuda" else 5)
        seconds = in_turns(ways, rounds)
        middle = {way: statistics.median(took) for way, took in seconds.items()}
        needed = work(crop, size)
        floor = needed["multiply_adds"] / rate["bf16"] + needed["bytes"] / rate["bytes"]
        shares = {way: floor / took for way, took in middle.items()}
        details = {"seconds": middle, "floor_s": floor, "share_of_floor": shares}
        took = seconds["published"], seconds["fast"]
        figures.append(PLANNED[f"step-gpu-{name}"].of(*took, **details))
        record("gpu_step", figures, folder, **more)
        print({way: f"{1e3 * took:.2f} ms" for way, took in middle.items()}, flush=True)


def measure_memory(folder: Path) -> None:
    figures: list[Figure] = []
    for crop, limit in ((512, 11), (1024, 40)):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        step = our_step(our_system(BEST, DEVICE), batch(1, crop, DEVICE), torch.bfloat16)
        for _ in range(2):
            step()
        wait()
        most = torch.cuda.max_memory_allocated() / GIB
        planned = PLANNED[f"memory-gpu-{crop}"]
        figures.append(replace(planned, ratio=most / limit, details={"gib": most}))
        record("gpu_memory", figures, folder)


def measure_packed(
    folder: Path, together: tuple[int, ...] = (4, 8), iterations: int = 1500
) -> None:
    """Runs an hour of k at a time on one GPU, beside one after the other."""
    figures: list[Figure] = []
    alone = _runs(1, iterations)
    for k in together:
        took = _runs(k, iterations)
        details = {"alone_s": alone, "together_s": took, "iterations": iterations}
        planned = PLANNED[f"packed-gpu-{k}"]
        figures.append(replace(planned, ratio=k * alone / took, details=details))
        record("gpu_packed", figures, folder)


def _runs(k: int, iterations: int) -> float:
    """Seconds of k runs of quickstart's networks that begin together."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "train.py", "budget=cpu", "depth=4", "logger=csv"]
        command += ["callbacks=none", f"paths.runs={runs}", f"budget.iterations={iterations}"]
        command += [f"trainer.accelerator={'gpu' if DEVICE == 'cuda' else 'cpu'}"]
        began = time.perf_counter()
        started = [
            subprocess.Popen([*command, f"seed={seed}"], stdout=subprocess.DEVNULL)
            for seed in range(k)
        ]
        codes = [process.wait() for process in started]
        took = time.perf_counter() - began
    if any(codes):
        raise RuntimeError(f"{k} runs side by side ended with {codes}")
    return took


def measure_restore(folder: Path, height: int = 1024, width: int = 2048) -> None:
    """A large image, whole and in tiles, in float32 and bf16."""
    from ir_lightning.networks.tiling import restore_tiled

    generator = our_system([*BEST, "trainer.precision=32-true"], DEVICE).generator.eval()
    image = torch.rand(1, 3, height, width, device=DEVICE)

    @torch.inference_mode()
    def whole(dtype: torch.dtype | None = None) -> None:
        with torch.autocast(DEVICE, dtype or torch.bfloat16, enabled=dtype is not None):
            generator(image)

    @torch.inference_mode()
    def tiled() -> None:
        restore_tiled(generator, image, 512, 32)

    ways = {"whole": whole, "bf16": lambda: whole(torch.bfloat16), "tiles": tiled}
    seconds = in_turns({name: repeated(do, 3, False) for name, do in ways.items()}, 5)
    figures = [
        PLANNED["restore-gpu-tiles"].of(seconds["tiles"], seconds["whole"]),
        PLANNED["restore-gpu-bf16"].of(seconds["whole"], seconds["bf16"]),
    ]
    record("gpu_restore", figures, folder)


MEASURES = {
    "step": measure_step,
    "memory": measure_memory,
    "packed": measure_packed,
    "restore": measure_restore,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=MEASURES)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here.")
    MEASURES[arguments.what](arguments.out)


if __name__ == "__main__":
    main()
