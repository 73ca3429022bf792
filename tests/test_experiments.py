"""Every experiment composes, sweeps what it says and trains; a broken file turns this red."""

import shutil
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ir_lightning.cli import main
from ir_lightning.cli.experiment import jobs_here, prepare
from ir_lightning.errors import UsageError
from ir_lightning.launch.config import load_config
from ir_lightning.launch.preflight import Known, check
from ir_lightning.launch.run import run
from ir_lightning.report.experiment import (
    BENCHMARKS,
    EXPERIMENTS,
    INDEX,
    Experiment,
    Job,
    commands,
    names,
    write_index,
)
from ir_lightning.report.write import write_report
from ir_lightning.runs.identity import directory_of, training_hash
from ir_lightning.runs.record import read_result, write_result
from ir_lightning.statistics.decays import FEWEST
from tests.conftest import CONF
from tests.helpers.commands import popen
from tests.helpers.reports import part

pytestmark = pytest.mark.slow

NAMES = names()
KNOWN: Known = {}


def checked(job: Job, runs: Path) -> tuple[Path, str]:
    """The directory and the hash of a run of an experiment, which the preflight lets pass."""
    return checked_once(tuple(sorted(job.overrides)), runs)


@cache
def checked_once(given: tuple[str, ...], runs: Path) -> tuple[Path, str]:
    overrides = [*given, "logger=csv", f"paths.runs={runs}"]
    complete = check(load_config(overrides), overrides, KNOWN).config
    config_hash = training_hash(complete)
    return directory_of(complete, overrides, config_hash), config_hash


def trained(job: Job, runs: Path) -> Path:
    """Train a run of an experiment here, without a process of its own; its directory."""
    overrides = [*job.overrides, "logger=csv", f"paths.runs={runs}"]
    place, _ = checked(job, runs)
    if not (place / "result.json").exists():
        assert run(load_config(overrides), overrides)["status"] == "finished", job.cell
    return place


def values(job: Job) -> set[str]:
    """What a job is given; a list counts as each of its members."""
    pairs = (override.partition("=") for override in job.overrides)
    return {f"{key}={each}" for key, _, value in pairs for each in value.strip("[]").split(",")}


@cache
def jobs_to_train() -> dict[str, list[Job]]:
    """For each experiment a few jobs: one on each data set, and what nobody else trains.

    In all of them together is every value of every axis, but for the options of conf/, which
    ``tests/launch/test_options.py`` trains.
    """
    seen = {f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml")}
    chosen: dict[str, list[Job]] = {}
    for name in NAMES:
        jobs, chosen[name] = Experiment.named(name).jobs(budget="smoke"), []
        everything = set().union(*map(values, jobs))
        missing = {v for v in everything if v not in seen or v.startswith("dataset=")}
        while missing:
            chosen[name].append(max(jobs, key=lambda job: len(missing & values(job))))
            missing -= values(chosen[name][-1])
        seen |= everything
    return chosen


def planted(job: Job, runs: Path, trainings: Mapping[Path, Job], seen: dict[str, str]) -> Path:
    """The run of a job that the preflight lets pass, with results of a trained one on its data.

    What the preflight has ``seen`` on one data set it need not see on every other one.
    """
    for place, other in trainings.items():
        if other == job:
            return place
    method = str({key: value for key, value in job.cell.items() if key != "dataset"})
    if seen.setdefault(method, job.cell.get("dataset", "")) != job.cell.get("dataset", ""):
        place = runs / "_".join([*job.cell.values(), str(job.seed)])
        config_hash = place.name
    else:
        place, config_hash = checked(job, runs)
    if not (place / "result.json").exists():
        dataset = {override for override in job.overrides if override.startswith("dataset=")}
        near = next(place for place, other in trainings.items() if dataset <= {*other.overrides})
        shutil.copytree(near, place)
        write_result(place, read_result(near) | {"config_hash": config_hash, "seed": job.seed})
    return place


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all experiments have their runs: what one has trained, another one finds."""
    return tmp_path_factory.mktemp("experiments") / "runs"


SHARING = (("fig3", "fig12", "table1"), ("fig5", "table2"))
"""Experiments with runs in common: best done by one process."""


def grouped(name: str) -> Any:
    """The name, with the mark by which pytest-xdist keeps such experiments in one process."""
    group = next((names[0] for names in SHARING if name in names), name)
    return pytest.param(name, marks=pytest.mark.xdist_group(group))


@pytest.mark.parametrize("name", map(grouped, NAMES))
def test_every_experiment_ends_in_its_report(name: str, runs: Path) -> None:
    """All runs at smoke budget, then table, verdicts, figure and page.

    The preflight sees all of them; those of :func:`jobs_to_train` are trained, and the others are
    given their results.
    """
    experiment = Experiment.named(name)
    jobs = experiment.jobs(budget="smoke")
    folder = runs / "reports" / name
    trainings = {trained(job, runs): job for job in jobs_to_train()[name]}
    seen: dict[str, str] = {}
    places = [planted(job, runs, trainings, seen) for job in jobs]
    hashes = {read_result(place)["config_hash"] for place in places}
    assert len(hashes) == len(jobs), "two cells are one configuration"
    write_index(folder, experiment, jobs, places, "smoke")
    prepare(folder, experiment.prepare)
    write_report(folder)
    text = (folder / "report.md").read_text()
    for claim in experiment.report["claims"]:
        assert claim["says"] in text
    drawn = "figure" in experiment.report
    assert ("<h2>Figure</h2>" in (folder / "report.html").read_text()) == drawn
    if jobs:
        assert f"{len(jobs)} of {len(jobs)} finished" in text
        assert (folder / "report.html").stat().st_size > 10_000
        assert (folder / "figure.png").exists() == drawn
    assert len((folder / "table.csv").read_text().splitlines()) > 1


def test_the_command_trains_what_is_missing_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load((EXPERIMENTS / "fig3.yaml").read_text())
    content["sweeps"] = [{"generator": ["unet"], "depth": [1, 2]}]
    content["report"]["claims"] = content["report"]["claims"][:1]
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(content))
    command = ["experiment", f"{tmp_path}/short.yaml", "--budget", "smoke", "--wandb", "off"]
    # tests/test_wheel.py begins true processes.
    module = sys.modules["ir_lightning.cli.experiment"]  # the function has the same name
    monkeypatch.setattr(module, "subprocess", SimpleNamespace(Popen=popen))
    for _ in range(2):
        with pytest.raises(SystemExit) as end:
            main([*command, "--runs", str(tmp_path), "logger=csv"])
        assert end.value.code == 0
    runs = list(tmp_path.glob("*/result.json"))
    assert len(runs) == 2
    for path in runs:  # the second time, nothing was trained
        assert [attempt.name for attempt in (path.parent / "attempts").iterdir()] == ["1"]
    assert (tmp_path / "reports" / "short-synthetic-smoke" / "report.html").exists()


def given(job: Job, key: str) -> str:
    """What a job says last about a key."""
    return [each.partition("=")[2] for each in job.overrides if each.startswith(f"{key}=")][-1]


@pytest.mark.parametrize("budget", ["cpu", "paper"])
@pytest.mark.parametrize("name", ["fig3", "fig12", "table1"])
def test_no_depth_of_a_sweep_is_scored_on_padding(name: str, budget: str) -> None:
    for job in Experiment.named(name).jobs(budget=budget):
        assert int(given(job, "budget.evaluation_side")) % 2 ** int(job.cell["depth"]) == 0


@pytest.mark.parametrize(
    ("budget", "key"), [("cpu", "budget.iterations"), ("paper", "budget.epochs")]
)
def test_who_is_pre_trained_trains_as_long_as_who_is_not(budget: str, key: str) -> None:
    jobs = Experiment.named("fig7").jobs(budget=budget)
    in_all = {job.cell["pretrain"]: int(given(job, key)) for job in jobs}
    assert in_all["none"] == 2 * in_all["reconstruction"] == 2 * in_all["warm_start"]


@pytest.mark.parametrize("name", NAMES)
def test_the_head_of_an_experiment_says_command_cost_and_expectation(name: str) -> None:
    head = (EXPERIMENTS / f"{name}.yaml").read_text().splitlines()[:3]
    assert head[0].startswith(f"# make {name} ")
    assert head[1].startswith("# cost: ")
    assert head[2].startswith("# expected: ")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", ["smoke", "cpu", "paper"])
def test_hydra_sweeps_exactly_the_cells(name: str, budget: str) -> None:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra._internal.utils import create_config_search_path
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode

    experiment = Experiment.named(name)
    jobs = experiment.jobs(budget=budget)
    loader = ConfigLoaderImpl(create_config_search_path(str(CONF)))
    swept = []
    for command in commands(experiment, "synthetic", budget, None, []):
        loader.load_configuration("train", command[:-1], RunMode.MULTIRUN)  # as Hydra begins
        parsed = OverridesParser.create().parse_overrides(command[:-1])
        swept += [sorted(one) for one in BasicSweeper.split_arguments(parsed, None)[0]]
    assert sorted(swept) == sorted(sorted(job.overrides) for job in jobs)


def test_a_sweep_may_have_overrides_of_its_own() -> None:
    """Only networks with InfoAccum have its growth."""
    for job in Experiment.named("table2").jobs(budget="cpu"):
        narrowed = "infoaccum" in job.cell["method"]
        assert ("enhancer.growth=2" in job.overrides) == narrowed
    for job in Experiment.named("table2").jobs(budget="paper"):
        assert not any(override.startswith("enhancer.growth") for override in job.overrides)


@pytest.mark.parametrize("name", NAMES)
def test_claims_are_about_cells_that_there_are(name: str) -> None:
    experiment = Experiment.named(name)
    cells = [job.cell for job in experiment.jobs(budget="paper", dataset=BENCHMARKS)]
    for claim in experiment.report["claims"]:
        assert claim["says"]
        for key in ("a", "b", "where"):
            part = {k: str(v) for k, v in claim.get(key, {}).items()}
            assert not part or any(part.items() <= cell.items() for cell in cells), claim


def test_fig7_measures_its_loss_often_enough_to_see_stages() -> None:
    """Also where the half of the iterations is pre-training."""
    config = load_config(Experiment.named("fig7").jobs(budget="cpu")[0].overrides)
    half = config.budget.iterations / 2
    assert half // config.callbacks.balance.every >= FEWEST
    assert half % config.budget.checkpoint_every == 0


def test_datasets_and_their_stand_ins_exist() -> None:
    for name in NAMES:
        for published, synthetic in Experiment.named(name).datasets.items():
            assert (CONF / "dataset" / f"{published}.yaml").exists()
            assert (CONF / "dataset" / f"{synthetic}.yaml").exists()


def test_the_papers_numbers_are_the_printed_ones() -> None:
    (claim,) = Experiment.named("table1").report["claims"]
    levels = claim["expected"]
    for published, synthetic in Experiment.named("table1").datasets.items():
        assert levels[synthetic] == levels[published]
    printed = [levels[name] for name in ("sidd", "rain800", "reside")]
    assert printed == [[2, 3], [3, 4], [4, 5]]
    table = Experiment.named("table2").report["paper"]
    assert table["unet5_infoaccum_subpixel"]["rain800"] == [25.29, 0.8135]
    assert table["pix2pix_lsgan"]["outdoorrain"] is None
    assert Experiment.named("table3").report["paper"]["unet5_infoaccum"]["rain800"] == [
        42.58,
        0.9967,
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sweeps": None}, "sweeps"),
        ({"colour": "red"}, "colour"),
        ({"sweeps": [{"depth": [1], "budgets": {"gpu": []}}]}, "budget 'gpu'.*cpu, paper"),
        ({"report": {"claims": []}}, "report needs the _target_ of a kind of report"),
        ({"report": part("Nothing")}, r"broken.yaml: report: .*No module named '.*Nothing'"),
        ({"report": part("ScoreTable", colour="red")}, "ScoreTable.*argument 'colour'"),
        ({"report": part("ScoreTable", claims=[part("Grows", says="x")])}, "Grows.*'over'"),
        ({"report": part("ScoreMatrix", rows="a")}, "columns: None needs rows"),
    ],
)
def test_a_broken_file_is_refused(
    change: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load((EXPERIMENTS / "fig3.yaml").read_text()) | change
    content = {key: value for key, value in content.items() if value is not None}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setattr("ir_lightning.report.experiment.EXPERIMENTS", tmp_path)
    with pytest.raises(UsageError, match=words):
        Experiment.named("broken")
    with pytest.raises(UsageError, match=words):
        Experiment.named(str(tmp_path / "broken.yaml"))
    with pytest.raises(UsageError, match="choose from broken"):
        Experiment.named("fig99")


def test_a_mistake_ends_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load((EXPERIMENTS / "fig3.yaml").read_text())
    content["report"]["figure"]["colour"] = "red"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit) as end:
        main(["experiment", str(tmp_path / "mine.yaml"), "--runs", str(tmp_path / "runs")])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "mine.yaml: report.figure" in line
    assert "LineFigure.__init__() got an unexpected keyword argument 'colour'" in line
    assert not (tmp_path / "runs").exists()


def test_the_index_finds_the_runs(tmp_path: Path) -> None:
    experiment = Experiment.named("fig3")
    jobs = experiment.jobs(budget="smoke")[:2]
    places = [trained(job, tmp_path / "runs") for job in jobs]
    folder = tmp_path / "runs" / "reports" / "fig3"
    write_index(folder, experiment, jobs, places, "smoke")
    index = yaml.safe_load((folder / INDEX).read_text())
    assert [entry["cell"]["depth"] for entry in index["runs"]] == ["1", "2"]
    for entry in index["runs"]:
        assert not Path(entry["run"]).is_absolute()
        assert (folder / entry["run"] / "result.json").exists()


@pytest.mark.parametrize(
    ("cores", "gib", "jobs"), [(2, 100, 2), (64, 16, 8), (4, 1, 1), (1, 100, 1)]
)
def test_as_many_runs_at_a_time_as_cores_and_memory_allow(
    cores: int, gib: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    memory = SimpleNamespace(available=gib * 2**30)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    assert jobs_here() == jobs
