"""How trainings converge, from their curves: the measurements of Fig. 7, run by run.

Nothing is read but ``metrics.csv``, which ``callbacks=[default,balance]`` has added to.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ir_lightning.errors import UsageError
from ir_lightning.report.runs import Array, Curve, Run, read_curves
from ir_lightning.statistics.imbalance import (
    Imbalance,
    Time,
    Vanishing,
    imbalance,
    t_gained,
    t_saturated,
    vanishing,
)
from ir_lightning.statistics.stages import Stages, stages

LOSS = "train/generator"
SCORE = "val/psnr"


@dataclass(frozen=True)
class Curves:
    """The columns of a run's ``metrics.csv``."""

    columns: dict[str, Curve]
    """By name: iterations (T,) at which there is a value, and the values."""

    @classmethod
    def of(cls, run_dir: Path) -> "Curves":
        """Read them; empty where there is no file."""
        return cls(read_curves(run_dir))

    def __getitem__(self, name: str) -> tuple[Array, Array]:
        """Iterations and values of a column.

        Raises:
            UsageError: the curve has no such column.
        """
        if name not in self.columns:
            raise UsageError(f"its curve has no {name}")
        return self.columns[name]

    def at_checks(self, name: str) -> tuple[Array, Array]:
        """A column, but for the iterations before the training."""
        iterations, values = self[name]
        return iterations[iterations >= 1], values[iterations >= 1]


@dataclass(frozen=True)
class Convergence:
    """What one run's curve says; what it does not allow to say is None, with the reason."""

    curves: Curves
    stages: Stages | None = None
    saturated: Time | None = None
    """t_sat(D)."""
    gained: Time | None = None
    """t_90(G)."""
    imbalance: Imbalance | None = None
    vanishing: Vanishing | None = None
    bits: float = np.nan
    """J_D at the last check."""
    auc: float = np.nan
    missing: list[str] = field(default_factory=list)


def convergence(run: Run) -> Convergence:
    """Measure one finished run. The bootstrap's random numbers are always the same."""
    curves = Curves.of(run.directory)
    missing: list[str] = []
    fitted = gradients = None
    try:
        fitted = stages(*curves[LOSS])
    except UsageError as error:
        missing.append(str(error))
    try:
        gradients = vanishing(
            curves.at_checks("balance/g_adversarial")[1], curves.at_checks("balance/g_pixel")[1]
        )
    except UsageError as error:
        missing.append(str(error))
    try:
        d = t_saturated(*curves.at_checks("balance/low"))
        g = t_gained(*curves.at_checks(SCORE))
        bits, auc = (float(curves[f"balance/{name}"][1][-1]) for name in ("bits", "auc"))
    except UsageError as error:
        missing.append(str(error))
        return Convergence(curves, fitted, vanishing=gradients, missing=missing)
    return Convergence(curves, fitted, d, g, imbalance(g, d), gradients, bits, auc, missing)
