"""A run is named by what was asked, and found again by a hash of what shapes its numbers."""

from pathlib import Path

import pytest

from ir_lightning.runs.identity import config_hash, directory_of, name_of
from tests.conftest import Compose


@pytest.mark.parametrize(
    "override", ["seed=1", "depth=4", "loss=l1", "dataset.test.built_in.draws=1", "clean_dir=/a"]
)
def test_what_shapes_the_numbers_is_in_the_hash(composed: Compose, override: str) -> None:
    assert config_hash(composed(override)) != config_hash(composed())


@pytest.mark.parametrize(
    "override",
    [
        "run_dir=elsewhere",
        "logger=csv",
        "data.workers=2",
        "trainer.accelerator=cpu",
        "rerun=true",
        "callbacks=none",
        "paths.data=/data",
    ],
)
def test_where_and_how_a_run_is_watched_is_not(composed: Compose, override: str) -> None:
    assert config_hash(composed(override)) == config_hash(composed())


def test_the_hash_does_not_depend_on_where_the_benchmarks_lie(composed: Compose) -> None:
    here, there = (composed("dataset=rain800", f"paths.data={p}") for p in ("/a", "/b"))
    assert config_hash(here) == config_hash(there)


def test_the_name_says_what_was_asked_in_any_order() -> None:
    assert name_of(["depth=3", "budget=smoke", "paths.runs=x"]) == "budget=smoke,depth=3"
    assert name_of(["budget=smoke", "depth=3"]) == name_of(["depth=3", "budget=smoke"])
    assert name_of([]) == "default"
    assert "/" not in name_of(["dataset.train.root=/my/photos"])
    assert len(name_of([f"+key{i}=value" for i in range(100)])) < 200


def test_the_same_configuration_asked_in_other_words_is_the_same_run(
    composed: Compose, tmp_path: Path
) -> None:
    config = composed()
    digest = config_hash(config)
    first = directory_of(config, [], digest)
    first.mkdir(parents=True)
    assert directory_of(config, ["depth=5"], digest) == first
    assert directory_of(composed(f"run_dir={tmp_path}/mine"), [], digest) == tmp_path / "mine"
