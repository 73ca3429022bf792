"""What it costs to judge whether a loss curve has two stages.

    python benchmarks/stages.py [iterations]     # 100,000 unless told

The models are fitted to bins of the curve, and the bootstrap searches the same grids for all its
series at once, so that its length counts only where it is binned.
"""

import sys
import time

import numpy as np

from ir_lightning.statistics.decays import MODELS, ShapeGrid, binned
from ir_lightning.statistics.stages import stages


def main() -> None:
    last = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for length in (last // 100, last):
        iteration = np.arange(1.0, length + 1)
        loss = 0.1 + np.exp(-iteration / 60) + 0.3 * np.exp(-iteration / (length / 5))
        loss += 0.02 * np.random.default_rng(0).standard_normal(length)
        began = time.process_time()
        series = binned(iteration, loss)
        for model in MODELS:
            ShapeGrid(model, series).fit()
        fits = time.process_time() - began
        began = time.process_time()
        stages(iteration, loss)
        whole = time.process_time() - began
        print(f"{length} iterations: fits {fits:.2f} s, verdict {whole:.2f} s")


if __name__ == "__main__":
    main()
