"""Five committed verdicts computed again, with pandas and scipy alone.

    python -m benchmarks.recompute

From the kept scores of ``experiments/results/cpu/table3-rain800``, word for word as the rules are
written in ``ir_lightning/statistics/effects.py``, and beside what ``rejudged.md`` says.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, stats

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments" / "results"
SCENES = ROOT / "ir_lightning" / "data" / "benchmarks" / "rain800_scenes.json"
SHARE = 0.05 / 7  # of the error that the file's seven claims have together
UNET5, BEST = "unet5", "unet5_infoaccum_subpixel"
CLAIMS = (
    ("InfoAccum wins detail back", "psnr", "unet5_infoaccum", UNET5),
    ("SubPixUpsamp wins more of it back", "psnr", BEST, "unet5_infoaccum"),
    ("without skips, detail is lost", "psnr", UNET5, ""),
    ("InfoAccum wins SSIM back too", "ssim", "unet5_infoaccum", UNET5),
    ("SubPixUpsamp wins more SSIM back", "ssim", BEST, "unet5_infoaccum"),
)


def verdict(scores: pd.DataFrame, metric: str, a: str, b: str) -> tuple[float, ...]:
    """Difference, its limits at :data:`SHARE` each, and p of "it is not above 0".

    ``scores`` has the columns method, seed, scene and the metric's, a row for each image.
    """
    by_scene = scores.groupby(["method", "seed", "scene"])[metric].mean()
    runs = {
        method: table.groupby("seed").mean().to_numpy()
        for method, table in by_scene.groupby("method")
    }
    over_seeds = by_scene.groupby(["method", "scene"]).mean()
    gap = (over_seeds[a] - over_seeds[b]).to_numpy()
    parts = [(gap.var(ddof=1) / len(gap), len(gap) - 1)]
    parts += [(runs[m].var(ddof=1) / len(runs[m]), len(runs[m]) - 1) for m in (a, b)]

    def reach(alpha: float) -> float:
        return float(np.sqrt(sum(stats.t.ppf(1 - alpha, df) ** 2 * part for part, df in parts)))

    difference = float(runs[a].mean() - runs[b].mean())
    below = optimize.brentq(lambda log: reach(np.exp(log)) - abs(difference), -36, np.log(0.5))
    p = np.exp(below) if difference > 0 else 1 - np.exp(below)
    return difference, difference - reach(SHARE), difference + reach(SHARE), float(p)


def compared() -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """By claim: difference, limits and p as computed here, and as ``rejudged.md`` says."""
    scores = pd.read_csv(RESULTS / "cpu" / "table3-rain800" / "images.csv", keep_default_na=False)
    groups = json.loads(SCENES.read_text("utf-8"))["test_syn"]
    first = {number: group[0] for group in groups for number in group}
    scores["scene"] = [first.get(int(image), int(image)) for image in scores["image"]]
    said = (RESULTS / "rejudged.md").read_text("utf-8").split("## cpu/table3-rain800")[1]
    both = {}
    for says, metric, a, b in CLAIMS:
        line = next(line for line in said.splitlines() if line.startswith(f"- {says}:"))
        numbers = re.search(
            r"\. (\S+).*? \[(\S+), (\S+)\].*alone ([^)]+)\)", line.partition("**")[2]
        )
        assert numbers, line
        both[says] = verdict(scores, metric, a, b), tuple(map(float, numbers.groups()))
    return both


def main() -> None:
    for says, (found, kept) in compared().items():
        told = ", ".join(f"{number:.3g}" for number in found)
        print(f"{says}: {told} (kept: {', '.join(f'{number:.3g}' for number in kept)})")


if __name__ == "__main__":
    main()
