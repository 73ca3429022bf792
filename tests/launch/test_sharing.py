"""Runs share a GPU as long as more of them train more together."""

import multiprocessing
import re
from collections.abc import Mapping

import pytest
from omegaconf import DictConfig, OmegaConf

from ir_lightning.launch import sharing
from tests.conftest import SMALL, Compose

GIB = 2**30
OF_AN_H200 = 139 * GIB


@pytest.mark.parametrize(
    ("rates", "most", "best"),
    [
        ({1: 10, 2: 20, 4: 30, 8: 31, 16: 99}, 16, 4),  # it ends where the gain ends
        ({1: 10, 2: 20, 4: 30, 5: 40}, 5, 5),  # no more than there may be
        ({1: 10, 2: 10.5}, 16, 1),  # a GPU that one training fills
        ({1: 10, 2: 6}, 2, 1),
        ({1: 10}, 1, 1),
    ],
)
def test_more_runs_share_a_gpu_while_they_train_a_tenth_more_together(
    rates: dict[int, float], most: int, best: int
) -> None:
    found, asked = sharing.best_of(rates.__getitem__, most)
    assert found == best
    assert asked == {k: rate for k, rate in rates.items() if k in asked}
    assert set(asked) <= {1, 2, 4, 8, most}


def sweep_of(launcher: Mapping[str, object]) -> DictConfig:
    """What Hydra gives at the start of a multirun."""
    ray = {
        "init": {"num_cpus": 8, "num_gpus": None},
        "remote": {"num_gpus": "auto", "num_cpus": 1},
    }
    ray["remote"] |= launcher
    hydra = {"launcher": {"ray": ray}}
    master = OmegaConf.create({"hydra": hydra, "trainer": {"accelerator": "auto"}})
    OmegaConf.set_readonly(master.hydra, True)
    return master


def shares(master: DictConfig) -> float:
    return float(OmegaConf.select(master, sharing.SHARE))


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({"waiting": 20}, 8),  # a core each
        ({"waiting": 3}, 3),
        ({"waiting": 3, "gpus": 2}, 2),
        ({"waiting": 20, "need": 40 * GIB}, 3),
    ],
)
def test_no_more_are_tried_than_there_are_runs_cores_and_memory_for(
    given: dict[str, int], most: int, composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def try_out(plain: dict[str, dict[str, int]], most: int) -> tuple[int, str]:
        tried.append((plain["budget"]["iterations"], most))
        return most, "as told"

    monkeypatch.setattr(sharing, "try_out", try_out)
    master = sweep_of({})
    there = {"need": GIB, "memory": OF_AN_H200, "gpus": 1} | given
    said = sharing.settle(master, dearest=composed(*SMALL), **there)
    assert tried == [(sharing.ENDLESS, most)]
    assert shares(master) == pytest.approx(1 / most, abs=1e-4)
    assert shares(master) * most <= 1
    assert said == f"Runs that share a GPU: {most} (as told)."


def test_without_room_for_a_second_run_nothing_is_tried(composed: Compose) -> None:
    master = sweep_of({})
    room = {"need": 100 * GIB, "memory": OF_AN_H200, "gpus": 1}
    said = sharing.settle(master, 20, composed(*SMALL), **room)
    assert shares(master) == 1
    assert "no memory for a second one" in said


@pytest.mark.parametrize(("given", "share"), [("auto", 0), (0.25, 0.25)])
def test_where_there_is_no_gpu_the_cores_are_shared(given: object, share: float) -> None:
    master = sweep_of({"num_gpus": given})
    master.trainer.accelerator = "cpu"
    sharing.look_for_gpu(master)
    assert shares(master) == share
    assert not sharing.is_open(master)


@pytest.mark.slow
def test_trainings_are_timed_and_leave_nothing(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On a CPU, as they would be on a GPU."""
    monkeypatch.setattr(sharing, "SECONDS", 0.3)
    monkeypatch.setattr(sharing, "WORTH", 0.0)  # go on to the second, whatever it brings
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    master = sweep_of({})
    config = composed(*SMALL, "trainer.accelerator=cpu", "depth=1", "width=4", "threads=1")
    said = sharing.settle(master, 2, config, need=GIB, memory=8 * GIB, gpus=0)
    assert shares(master) == 0.5
    rates = dict(re.findall(r"([\d.]+) of (\d)", said))
    assert list(rates.values()) == ["1", "2"]
    assert all(0 < float(rate) < 1e4 for rate in rates)
    assert not multiprocessing.active_children()
    assert not list(tmp_path_factory.getbasetemp().glob("empty*/*"))


@pytest.mark.slow
def test_what_cannot_be_tried_says_why(composed: Compose) -> None:
    config = composed(*SMALL, "trainer.accelerator=cpu", "depth=1", "threads=1")
    config.generator["width"] = -1
    master = sweep_of({})
    said = sharing.settle(master, 2, config, need=GIB, memory=8 * GIB, gpus=1)
    assert "could not be tried" in said
    assert "width" in said
    assert shares(master) == 1
