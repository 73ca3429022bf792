"""What is scored of synthetic scenes is as large as in a training with that side."""

import re
from pathlib import Path

import pytest

from ir_lightning.errors import UsageError
from ir_lightning.launch.config import requested_config
from ir_lightning.launch.evaluate import with_evaluation

RUN = Path(__file__).parents[1] / "golden" / "before" / "finished"  # trained on synthetic rain


def test_another_side_takes_scenes_that_are_made_for_it() -> None:
    asked = ["budget.evaluation_side=256"]
    with pytest.raises(UsageError, match=re.escape("give dataset=rain with it")):
        with_evaluation(RUN, asked)
    made = with_evaluation(RUN, [*asked, "dataset=rain"])["data"]
    composed = requested_config([*asked, "dataset=rain"]).data
    assert made["evaluation_side"] == 256
    assert made["test"]["built_in"]["sources"]["leaves"]["size"] == 256
    assert composed.test.built_in.sources.leaves.size == 256


def test_a_side_that_is_no_number_is_said_by_who_reads_it() -> None:
    assert requested_config(["budget.evaluation_side=abc"]).data.evaluation_side == "abc"
    leaves = requested_config(["budget.evaluation_side=abc"]).data.test.built_in.sources.leaves
    assert leaves.size == 128
