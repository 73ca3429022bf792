"""How the time and the memory of an iteration grow, with a plot of the fitted exponents.

    python -m benchmarks.scaling

One size varies at a time: depth and width of the U-Net, layers of InfoAccum, crop, batch; and
data-loading workers, by the crops that they deliver. A line through logarithms of the larger half
of the sizes gives the exponent: 1 is proportional, 0 does not matter. Memory is the estimate that
sweeps use. Times of a busy machine are those of a busy machine: the fastest of several.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

from benchmarks.harness import RESULTS, in_turns, record
from benchmarks.ways import batch, our_step, our_system
from ir_lightning.build import build
from ir_lightning.data.module import RestorationData
from ir_lightning.launch.config import load_config
from ir_lightning.launch.preflight import resolve
from ir_lightning.training.memory import GIB, Estimate, estimate

PLOT = Path(__file__).parents[1] / "docs" / "scaling.png"
COMMON = {"depth": 5, "width": 16, "crop": 128, "batch": 1, "layers": 0}
SIZES = {
    "depth": (1, 2, 3, 4, 5, 6, 7),
    "width": (8, 16, 32, 64),
    "layers": (2, 4, 8, 15),
    "crop": (64, 128, 256, 512),
    "batch": (1, 2, 4, 8),
}
WORKERS = tuple(n for n in (1, 2, 4, 8) if n == 1 or n <= (os.cpu_count() or 1))
ROUNDS = 3


def overrides(sizes: Mapping[str, int]) -> list[str]:
    made = [f"{key}={sizes[key]}" for key in ("depth", "width")]
    made += [f"budget.{key}={sizes[key]}" for key in ("crop", "batch")]
    if sizes["layers"]:
        made += ["enhancer=infoaccum", f"enhancer.layers={sizes['layers']}"]
    return ["budget=smoke", "norm=instance", "logger=csv", *made]


def memory_of(sizes: Mapping[str, int]) -> float:
    """GiB of an iteration."""
    need = estimate(resolve(load_config(overrides(sizes))))
    assert isinstance(need, Estimate), need
    return need.total / GIB


def step_of(sizes: Mapping[str, int]) -> Callable[[], None]:
    return our_step(our_system(overrides(sizes)), batch(sizes["batch"], sizes["crop"]))


def grown(key: str) -> dict[str, list[float]]:
    """Seconds and GiB of an iteration by one size; ``x`` is that size."""
    each = [{**COMMON, key: size} for size in SIZES[key]]
    ways = {str(sizes[key]): step_of(sizes) for sizes in each}
    seconds = in_turns(ways, ROUNDS)
    return {
        "x": [float(sizes[key]) for sizes in each],
        "seconds": [min(seconds[name]) for name in ways],
        "gib": [memory_of(sizes) for sizes in each],
    }


def delivered() -> dict[str, list[float]]:
    """Seconds per crop of rain by the number of workers."""
    seconds = []
    for workers in WORKERS:
        wanted = ["budget=smoke", "budget.crop=128", "budget.batch=4", "budget.iterations=60"]
        config = resolve(load_config([*wanted, f"data.workers={workers}"]))
        data: RestorationData = build(config["data"], "data")
        batches = iter(data.train_dataloader())
        for _ in range(20):  # scenes are made at their first use
            next(batches)
        began = time.perf_counter()
        count = sum(len(pair["name"]) for pair in batches)
        seconds.append((time.perf_counter() - began) / count)
    return {"x": [float(workers) for workers in WORKERS], "seconds": seconds}


def exponent(x: list[float], y: list[float]) -> float:
    """Slope of the logarithms over the larger half of the sizes."""
    half = max(0, min(len(x) // 2, len(x) - 2))  # of two points, both
    return float(np.polyfit(np.log(x[half:]), np.log(y[half:]), 1)[0])


def draw(growth: Mapping[str, dict[str, list[float]]], path: Path) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(11, 6), constrained_layout=True)
    for axis, (key, values) in zip(axes.flat, growth.items(), strict=True):
        units = (("seconds", "ms", 1e3, "C0", "o-"), ("gib", "MiB", 1024, "C1", "s--"))
        for name, unit, scale, colour, style in units:
            if name not in values:
                continue
            side = axis if name == "seconds" else axis.twinx()
            label = f"x^{exponent(values['x'], values[name]):.2f}"
            scaled = [scale * value for value in values[name]]
            side.loglog(values["x"], scaled, style, color=colour, label=label, base=2)
            side.set_ylabel(unit, color=colour)
            side.yaxis.set_major_formatter("{x:g}")
            side.minorticks_off()
            side.legend(loc="upper left" if name == "seconds" else "lower right", frameon=False)
        axis.set_xticks(values["x"], [f"{size:g}" for size in values["x"]])
        if key == "workers":
            axis.set(yscale="linear", ylim=(0, 1.2e3 * max(values["seconds"])))
        axis.set_xlabel(key)
    figure.suptitle(
        "An iteration of UNet-5, width 16, 128x128, batch 1: time and memory by one size;\n"
        "by workers, the time to deliver a 128x128 crop of rain"
    )
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path, default=PLOT)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    growth: dict[str, Any] = {key: grown(key) for key in SIZES}
    growth["workers"] = delivered()
    exponents = {
        key: {name: exponent(v["x"], v[name]) for name in ("seconds", "gib") if name in v}
        for key, v in growth.items()
    }
    draw(growth, arguments.plot)
    record("scaling", [], arguments.out, growth=growth, exponents=exponents)
    for key, fitted in exponents.items():
        print(key, {name: round(value, 2) for name, value in fitted.items()})


if __name__ == "__main__":
    main()
