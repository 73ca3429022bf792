"""What the threads of an iteration cost on a machine that is idle, and on one that is not.

    python -m benchmarks.threads

Threads of OpenMP wait for each other by spinning, which is quick while each has a core for itself,
and keeps the one that they wait for from running where they have not. Compared are torch's default,
threads that sleep at once, one thread, and what this package sets before torch is imported; beside
nothing, beside two trainings of torch's default, and beside two other busy processes.
"""

import argparse
import os
import statistics
from contextlib import ExitStack

from benchmarks.harness import OtherProcess, compared, in_turns, record, serve
from benchmarks.ways import batch, our_step, our_system

OVERRIDES = ["depth=4", "budget=cpu"]  # quickstart's networks
CROP, BATCH = 96, 2
AT_ONCE = 4  # iterations that are timed together
# Unset. It holds since benchmarks import torch before this package, which sets the first; torch's
# threads read it as torch is loaded.
AS_TORCH = {"GOMP_SPINCOUNT": "", "OMP_WAIT_POLICY": "", "OMP_NUM_THREADS": ""}
WAYS: dict[str, dict[str, str]] = {
    "default": AS_TORCH,
    "passive": AS_TORCH | {"OMP_WAIT_POLICY": "PASSIVE"},
    "one": AS_TORCH | {"OMP_NUM_THREADS": "1"},
}


def serve_step() -> None:
    step = our_step(our_system(OVERRIDES), batch(BATCH, CROP))
    serve(lambda: [step() for _ in range(AT_ONCE)])


def neighbours(kind: str) -> list[OtherProcess]:
    """Two processes that keep on working until they are closed."""
    if kind == "idle":
        return []
    environment = AS_TORCH | {"OMP_NUM_THREADS": "1"} if kind == "busy" else AS_TORCH
    return [
        OtherProcess("benchmarks.threads", "--forever", environment=environment) for _ in range(2)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spin", nargs="*", help="other values of GOMP_SPINCOUNT to compare")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--forever", action="store_true")
    arguments = parser.parse_args()
    if arguments.serve:
        serve_step()
        return
    if arguments.forever:
        step = our_step(our_system(OVERRIDES), batch(BATCH, CROP))
        while os.getppid() != 1:
            step()

    ways = {**WAYS, "ours": {}}
    ways |= {spin: AS_TORCH | {"GOMP_SPINCOUNT": spin} for spin in arguments.spin or ()}
    figures = []
    for kind in ("idle", "trainings", "busy"):
        with ExitStack() as stack:
            for other in neighbours(kind):
                stack.callback(other.process.kill)
            steps = {
                name: OtherProcess("benchmarks.threads", "--serve", environment=environment)
                for name, environment in ways.items()
            }
            seconds = in_turns(steps, arguments.rounds)
            for step in steps.values():
                step.close()
        rates = {name: AT_ONCE / statistics.median(took) for name, took in seconds.items()}
        print(kind, {name: round(rate, 2) for name, rate in rates.items()})
        best = max(WAYS, key=lambda name: rates[name])
        says = f"our rate / the best ({best}) of torch's default, sleeping threads and one"
        took = seconds[best], seconds["ours"]
        figures.append(compared(f"threads-{kind}", says, *took, 0.8, iterations_per_second=rates))
    record("threads", figures)


if __name__ == "__main__":
    main()
