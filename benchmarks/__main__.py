"""Every benchmark that has a goal: ``make bench``.

    python -m benchmarks                   # all of them, one after the other
    python -m benchmarks step infoaccum    # some

Each writes ``results/NAME.json``. From all that are there, ``results/summary.json`` is made, which
maps a figure to its ratio, its goal and whether that is met, and the table in docs/performance.md.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu import PLANNED
from benchmarks.harness import RESULTS

BENCHMARKS = ("step", "small_runs", "threads", "infoaccum", "startup", "evaluation", "scaling")
ON_GPU = ("gpu_step", "gpu_memory", "gpu_infoaccum", "gpu_packed", "gpu_restore")
"""Written by gpu/bench.sh, and copied here."""
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: made by `make bench` -->", "<!-- end of the figures -->"


def rows() -> list[dict[str, Any]]:
    """Every figure, with the machine that it was taken on; those that need a GPU, unmeasured."""
    kept = []
    for name in (*BENCHMARKS, *ON_GPU):
        file = RESULTS / f"{name}.json"
        if file.exists():
            whole = json.loads(file.read_text())
            kept += [{**figure, "machine": whole["machine"]} for figure in whole["figures"]]
    known = {figure["name"] for figure in kept}
    planned = [{**asdict(figure), "met": None, "machine": None} for figure in PLANNED.values()]
    return kept + [figure for figure in planned if figure["name"] not in known]


def table(figures: list[dict[str, Any]]) -> str:
    """The figures for people."""
    lines = ["| figure | ratio | smallest to largest | goal | met |", "|---|---|---|---|---|"]
    for figure in figures:
        goal = f"{'at least' if figure['at_least'] else 'at most'} {figure['goal']:g}"
        spread = "" if not figure["spread"] else "{:.2f} to {:.2f}".format(*figure["spread"])
        ratio = "unmeasured" if figure["ratio"] is None else f"{figure['ratio']:.2f}"
        met = {True: "yes", False: "**no**", None: ""}[figure["met"]]
        says = f"`{figure['name']}`: {figure['says']}"
        lines.append(f"| {says} | {ratio} | {spread} | {goal} | {met} |")
    machines = [f["machine"] for f in figures if f["machine"]]
    taken = {json.dumps(each | {"load_before": None}): each for each in machines}
    for machine in taken.values():
        bf16 = ", ".join(machine["bf16_instructions"]) or "no bf16 instructions"
        lines += [
            "",
            f"Taken on {machine['cores']} cores of {machine['processor']} ({bf16}), "
            f"{machine['gpu'] or 'no GPU'}, torch {machine['torch']}, Python {machine['python']}.",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=BENCHMARKS, help=", ".join(BENCHMARKS))
    failed = []
    for name in parser.parse_args().names:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
        print(f"   {time.monotonic() - began:.0f} s", flush=True)
        if done.returncode:
            failed.append(name)
    figures = rows()
    summary = {f["name"]: {key: f[key] for key in ("ratio", "goal", "met")} for f in figures}
    (RESULTS / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    text = PAGE.read_text("utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(figures)}\n\n{after}", "utf-8")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
