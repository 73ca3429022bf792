"""Small runs, in which experiments on a laptop live: against an earlier commit, and what they cost.

    python -m benchmarks.small_runs

Two runs side by side, one thread each: UNet-3 of width 16, four 64x64 crops of synthetic rain a
step. An earlier commit is compared in whole trainings, in turns; set-up is not counted. Then one
run alone is taken apart: the step itself, its data, and the rest (Lightning, logging, Python).
"""

import argparse
import csv
import io
import os
import shutil
import statistics
import subprocess
import tarfile
import tempfile
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

from benchmarks.harness import Figure, OtherProcess, compared, in_turns, record, serve

BEFORE = "173dde2"  # the commit that was "today" when the goal was set
ROOT = Path(__file__).parents[1]
ITERATIONS, FIRST = 150, 25  # the first ones make scenes, which later epochs find in memory
OVERRIDES = [
    *("depth=3", "width=16", "norm=instance", "budget.crop=64", "budget.batch=4", "threads=1"),
    *(f"budget.iterations={ITERATIONS}", f"budget.checkpoint_every={ITERATIONS}"),
    *("budget.validation_images=1", "budget.test_images=1", "budget.evaluation_side=64"),
    *("logger=csv", "callbacks=none", "trainer.accelerator=cpu", "rerun=true"),
]


def train() -> float:
    """Seconds of the iterations after the first ones of a whole training."""
    from ir_lightning.launch.config import load_config
    from ir_lightning.launch.run import run

    with tempfile.TemporaryDirectory() as folder:
        with redirect_stdout(io.StringIO()):
            run(load_config([*OVERRIDES, f"run_dir={folder}/run"]), [])
        with (Path(folder) / "run" / "metrics.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["train/generator"]]
    at = {int(row["iteration"]): float(row["seconds"]) for row in rows}
    return at[ITERATIONS] - at[FIRST]


class SideBySide:
    """Two processes of one tree that train at the same time."""

    def __init__(self, tree: Path, stack: ExitStack) -> None:
        environment = {"PYTHONPATH": str(tree), "MPLBACKEND": "agg"}
        self.runs = [
            OtherProcess("benchmarks.small_runs", "--serve", environment=environment, where=tree)
            for _ in range(2)
        ]
        for run in self.runs:
            stack.callback(run.close)

    def __call__(self) -> float:
        for run in self.runs:
            run.begin()
        return max(run.seconds() for run in self.runs)


def earlier_tree(place: Path) -> Path | None:
    """The earlier commit's code with today's benchmarks; None in a clone that has not got it."""
    archive = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(place, filter="data")
    shutil.rmtree(place / "benchmarks")
    shutil.copytree(ROOT / "benchmarks", place / "benchmarks")
    return place


def apart() -> dict[str, float]:
    """Seconds of an iteration that are the step's own, its data's, and all together."""
    import torch

    from benchmarks.ways import batch, our_step, our_system
    from ir_lightning.build import build
    from ir_lightning.launch.config import load_config
    from ir_lightning.launch.preflight import resolve

    torch.set_num_threads(1)
    system = our_system(OVERRIDES)
    step = our_step(system, batch(4, 64))
    data = build(resolve(load_config(OVERRIDES))["data"], "data")

    def all_data() -> None:
        for _ in data.train_dataloader():
            pass

    def all_steps() -> None:
        for _ in range(ITERATIONS):
            step()

    whole = ITERATIONS / (ITERATIONS - FIRST)
    ways = {"all": lambda: whole * train(), "data": all_data, "step": all_steps}
    seconds = in_turns(ways, rounds=2)  # the warm-up makes every scene
    return {name: statistics.median(took) / ITERATIONS for name, took in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(train)
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        says = f"seconds of commit {BEFORE} / ours, two runs side by side, one thread each"
        earlier = earlier_tree(Path(folder))
        if earlier is None:
            figures = [Figure("small-runs", says, None, 1.5)]
        else:
            ways = {"before": SideBySide(earlier, stack), "ours": SideBySide(ROOT, stack)}
            seconds = in_turns(ways, arguments.rounds)
            rate = 2 * (ITERATIONS - FIRST) / statistics.median(seconds["ours"])
            figures = [
                compared(
                    "small-runs",
                    says,
                    seconds["before"],
                    seconds["ours"],
                    1.5,
                    iterations_per_second_of_both=rate,
                )
            ]
        stack.close()
        os.chdir(folder)
        parts = apart()
    shares = {
        "data": parts["data"] / parts["all"],
        "rest": max(0.0, 1 - (parts["step"] + parts["data"]) / parts["all"]),
    }
    figures += [
        Figure(
            "small-runs-overhead",
            "share of an iteration that is not its step: data, Lightning, logging, Python",
            sum(shares.values()),
            0.10,
            False,
            details=shares | {f"{name}_s": took for name, took in parts.items()},
        ),
    ]
    record("small_runs", figures)
    print({name: round(share, 3) for name, share in shares.items()})


if __name__ == "__main__":
    main()
