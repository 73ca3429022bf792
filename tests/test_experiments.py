"""Every experiment composes, sweeps what it says and trains; a broken file turns this red."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ir_lightning.compose import composed
from ir_lightning.errors import UsageError
from ir_lightning.experiment import (
    BENCHMARKS,
    EXPERIMENTS,
    INDEX,
    Experiment,
    commands,
    locate,
    names,
    write_index,
)
from ir_lightning.run import run
from ir_lightning.runs.identity import config_hash
from tests.conftest import CONF

STEP = ["logger=csv", "callbacks=none", "budget.test_images=1", "budget.iterations=1"]
NAMES = names()


@pytest.mark.parametrize("name", NAMES)
def test_an_experiments_first_and_last_run_take_a_step(name: str, tmp_path: Path) -> None:
    jobs = Experiment.named(name).jobs(budget="smoke")
    for job in (jobs[0], jobs[-1]) if jobs else ():  # an inventory trains nothing
        thin = ["enhancer.layers=1"] if "infoaccum" in " ".join(job.overrides) else []
        overrides = [*job.overrides, *STEP, *thin, f"paths.runs={tmp_path}"]
        assert run(composed(overrides), overrides)["status"] == "finished", job.cell


@pytest.mark.parametrize("name", NAMES)
def test_the_head_of_an_experiment_says_command_cost_and_expectation(name: str) -> None:
    head = (EXPERIMENTS / f"{name}.yaml").read_text().splitlines()[:3]
    assert head[0].startswith(f"# make {name} ")
    assert head[1].startswith("# cost: ")
    assert head[2].startswith("# expected: ")


@pytest.mark.parametrize("name", NAMES)
def test_all_cells_compose_and_are_different_runs(name: str) -> None:
    jobs = Experiment.named(name).jobs(budget="smoke")
    hashes = {config_hash(composed(job.overrides)) for job in jobs}
    assert len(hashes) == len(jobs), "two cells are one configuration"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", ["smoke", "cpu", "paper"])
def test_hydra_sweeps_exactly_the_cells(name: str, budget: str) -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    experiment = Experiment.named(name)
    jobs = experiment.jobs(budget=budget)
    swept = []
    for command in commands(experiment, "synthetic", budget, None, []):
        parsed = OverridesParser.create().parse_overrides(command[:-1])
        swept += [sorted(one) for one in BasicSweeper.split_arguments(parsed, None)[0]]
    assert sorted(swept) == sorted(sorted(job.overrides) for job in jobs)


@pytest.mark.parametrize("name", NAMES)
def test_claims_are_about_cells_that_there_are(name: str) -> None:
    experiment = Experiment.named(name)
    cells = [job.cell for job in experiment.jobs(budget="paper", dataset=BENCHMARKS)]
    for claim in experiment.report["claims"]:
        assert claim["says"]
        for key in ("a", "b", "where"):
            part = {k: str(v) for k, v in claim.get(key, {}).items()}
            assert not part or any(part.items() <= cell.items() for cell in cells), claim


def test_datasets_and_their_stand_ins_exist() -> None:
    for name in NAMES:
        for published, synthetic in Experiment.named(name).datasets.items():
            assert (CONF / "dataset" / f"{published}.yaml").exists()
            assert (CONF / "dataset" / f"{synthetic}.yaml").exists()


def test_the_papers_numbers_are_the_printed_ones() -> None:
    table = Experiment.named("table2").report["paper"]
    assert table["unet5_infoaccum_subpixel"]["rain800"] == [25.29, 0.8135]
    assert table["pix2pix_lsgan"]["outdoorrain"] is None
    assert Experiment.named("table3").report["paper"]["unet5_infoaccum"]["rain800"] == [
        42.58,
        0.9967,
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"sweeps": None}, "sweeps"), ({"colour": "red"}, "colour")],
)
def test_a_broken_file_is_refused(
    change: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load((EXPERIMENTS / "fig3.yaml").read_text()) | change
    content = {key: value for key, value in content.items() if value is not None}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setattr("ir_lightning.experiment.EXPERIMENTS", tmp_path)
    with pytest.raises(UsageError, match=words):
        Experiment.named("broken")
    with pytest.raises(UsageError, match="choose from broken"):
        Experiment.named("fig99")


def test_the_index_finds_the_runs(tmp_path: Path) -> None:
    experiment = Experiment.named("fig3")
    jobs = experiment.jobs(budget="smoke")[:2]
    extra = [*STEP, f"paths.runs={tmp_path}/runs"]
    places = locate(jobs, extra)
    for job, place in zip(jobs, places, strict=True):
        run(composed([*job.overrides, *extra]), [*job.overrides, *extra])
        assert (place / "result.json").exists()
    folder = tmp_path / "runs" / "reports" / "fig3"
    write_index(folder, experiment, jobs, places, "smoke")
    index = yaml.safe_load((folder / INDEX).read_text())
    assert [entry["cell"]["depth"] for entry in index["runs"]] == ["1", "2"]
    for entry in index["runs"]:
        assert not Path(entry["run"]).is_absolute()
        assert (folder / entry["run"] / "result.json").exists()
