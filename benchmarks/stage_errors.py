"""How often the verdict on two stages is wrong, and how often two stages are found.

    python -m benchmarks.stage_errors [series]     # 200 of each kind unless told

On curves that are made here and know nothing of the rules: losses of 1,000 iterations, measured
every fifth of them as Fig. 7 does, whose noise is a share of the loss and correlated from one
measurement to the next (AR(1), phi). The columns are rates over curves, one training each; a
verdict takes three that agree, and errs in the cube of a rate where trainings are independent.
"""

import sys
import time

import numpy as np
from scipy.signal import lfilter

from ir_lightning.statistics.stages import Stages, stages

T = np.arange(5.0, 1001, 5)
ONE_STAGE = {
    "one exponential": 0.1 + 0.5 * np.exp(-T / 150),
    "power law": 0.1 + 0.6 * (T / 5) ** -0.5,
    "late power law": 0.1 + 0.6 * (1 + T / 30) ** -0.7,
    "stretched": 0.1 + 0.6 * np.exp(-((T / 60) ** 0.5)),
}
TWO_STAGES = {
    "taus 20 and 300": 0.1 + 0.4 * np.exp(-T / 20) + 0.2 * np.exp(-T / 300),
    "taus 20 and 100": 0.1 + 0.4 * np.exp(-T / 20) + 0.2 * np.exp(-T / 100),
    "taus 60 and 300": 0.1 + 0.3 * np.exp(-T / 60) + 0.3 * np.exp(-T / 300),
}
NOISES = (0.05, 0.15, 0.35)
PHIS = (0.0, 0.8)


def verdicts(curve: np.ndarray, noise: float, phi: float, series: int, seed: int) -> list[Stages]:
    """The verdicts on curves with noise of their own, a share of the loss."""
    random = np.random.default_rng(seed)
    shocks = np.sqrt(1 - phi**2) * random.standard_normal((series, len(T) + 100))
    shares = noise * lfilter([1], [1, -phi], shocks, axis=1)[:, 100:]
    return [stages(T, curve * (1 + share)) for share in shares]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print("curve, noise, phi: called two-stage, called not two-stage, median power, seconds each")
    for name, curve in (ONE_STAGE | TWO_STAGES).items():
        for noise in NOISES:
            for phi in PHIS:
                began = time.process_time()
                judged = verdicts(curve, noise, phi, count, seed=0)
                seconds = (time.process_time() - began) / count
                two = sum(each.two_stage for each in judged) / count
                refuted = sum(each.one_stage for each in judged) / count
                powers = [each.power for each in judged if each.power is not None]
                power = f"{np.median(powers):.2f} of {len(powers)}" if powers else "-"
                rates = f"{two:.3f} {refuted:.3f} {power} {seconds:.2f}"
                print(f"{name:16} {noise:.2f} {phi:.1f}: {rates}", flush=True)


if __name__ == "__main__":
    main()
