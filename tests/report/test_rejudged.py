"""The committed verdicts are what the rules say about the committed scores."""

import pytest

from benchmarks import recompute, rejudge
from ir_lightning.report.kept import scene_of

pytestmark = pytest.mark.slow


def test_the_page_of_todays_verdicts_is_todays() -> None:
    assert rejudge.text() == (rejudge.RESULTS / "rejudged.md").read_text("utf-8")


def test_five_verdicts_are_those_of_scipy_alone() -> None:
    """To three digits; of p, two are kept."""
    both = recompute.compared()
    assert len(both) == 5
    for ours, kept in both.values():
        assert ours[:3] == pytest.approx(kept[:3], rel=0.005)
        assert ours[3] == pytest.approx(kept[3], rel=0.05)


def test_files_of_one_photograph_are_one_scene() -> None:
    assert {scene_of(f"chelsea-{draw}", "rain") for draw in (1, 2, 3)} == {"chelsea"}
    assert len({scene_of(str(image), "rain800") for image in range(1, 101)}) == 76
