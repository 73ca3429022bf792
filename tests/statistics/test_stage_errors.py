"""How often the verdict on two stages errs, on the curves of ``benchmarks/stage_errors.py``.

They are laid out as those of Fig. 7, and know nothing of the rules. A verdict takes three trainings
that agree, so that it errs in the cube of the share of curves that do.
"""

import numpy as np
import pytest

from benchmarks.stage_errors import ONE_STAGE, TWO_STAGES, verdicts
from ir_lightning.statistics.stages import Stages

pytestmark = pytest.mark.slow

COUNT, SEED = 9, 5
MOST = 0.05  # of false verdicts
SAID = TWO_STAGES["taus 20 and 300"]


def share(judged: list[Stages], verdict: str) -> float:
    return sum(getattr(each, verdict) for each in judged) / len(judged)


@pytest.mark.parametrize("name", ONE_STAGE)
def test_one_stage_is_seldom_called_two(name: str) -> None:
    """In the correlated noise in which most curves are; see the benchmark for others."""
    judged = verdicts(ONE_STAGE[name], 0.15, 0.8, COUNT, SEED)
    assert share(judged, "two_stage") ** 3 <= MOST


@pytest.mark.parametrize(("noise", "least", "most"), [(0.05, 0.5, 1), (0.15, 0, 0.3), (0.35, 0, 0)])
def test_two_stages_are_found_where_noise_allows_and_seldom_called_one(
    noise: float, least: float, most: float
) -> None:
    judged = verdicts(SAID, noise, 0.0, COUNT, SEED)
    assert least <= share(judged, "two_stage") <= most
    assert share(judged, "one_stage") ** 3 <= MOST
    powers = [each.power or 0.0 for each in judged]  # of a noise that falls with the loss
    assert np.median(powers) <= share(judged, "two_stage") + 0.4


def test_a_power_law_in_little_noise_is_refuted() -> None:
    judged = verdicts(ONE_STAGE["power law"], 0.05, 0.0, COUNT, SEED)
    assert share(judged, "one_stage") == 1
    assert {each.best for each in judged} <= {"power", "shifted power"}
