"""A table or figure of the paper as data: from a file of experiments/ to runs and their index."""

import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.launch.config import CONF, load_config
from ir_lightning.launch.preflight import check
from ir_lightning.report.index import INDEX, build_report
from ir_lightning.runs.identity import directory_of, training_hash

EXPERIMENTS = CONF.with_name("experiments")

SYNTHETIC, BENCHMARKS = "synthetic", "benchmarks"
"""Words for an experiment's stand-ins that need no download, and for the paper's own sets."""


@dataclass(frozen=True)
class Job:
    """One run of an experiment."""

    cell: dict[str, str]
    """What makes it different from the others, beside the seed: ``{"depth": "3", ...}``."""
    seed: int
    overrides: list[str]  #: All that train.py is given.


class SweepAxes(NamedTuple):
    """One product of axes."""

    budgets: dict[str, list[str]]  #: By budget: overrides of this sweep alone.
    axes: dict[str, list[Any]]  #: An override's key to its values.


@dataclass(frozen=True)
class Experiment:
    """A file under ``experiments/``."""

    name: str
    title: str
    datasets: dict[str, str]  #: The paper's, as in ``dataset=``, to the synthetic stand-in.
    fixed: list[str]  #: Overrides of every run.
    sweeps: list[SweepAxes]  #: Together they are the runs.
    seeds: dict[str, list[int]]  #: By budget.
    budgets: dict[str, list[str]]  #: Overrides beside ``budget=``.
    report: dict[str, Any]  #: ``_target_`` and arguments of a :class:`.ReportKind`.
    prepare: dict[str, Any] | None = None  #: The same of a step that leaves files for the report.

    @classmethod
    def named(cls, name: str) -> "Experiment":
        """Read ``experiments/<name>.yaml``, or a file of one's own whose path ends in ``.yaml``.

        Raises:
            UsageError: there is none, or it lacks a part, has one too many, or cannot be built.
        """
        path = Path(name) if name.endswith(".yaml") else EXPERIMENTS / f"{name}.yaml"
        if not path.is_file():
            choice = f"choose from {', '.join(names())}, or give the path of a .yaml file."
            raise UsageError(f"There is no experiment '{name}'; {choice}")
        content = yaml.safe_load(path.read_text("utf-8"))
        if "sweeps" in content:
            content["sweeps"] = [SweepAxes(e.pop("budgets", {}), e) for e in content["sweeps"]]
        try:
            experiment = cls(name=path.stem, **content)
        except TypeError as error:
            reason = str(error).replace("Experiment.__init__() ", "")
            raise UsageError(f"{path}: {reason}.") from None
        for sweep in experiment.sweeps:
            if unknown := sorted(sweep.budgets.keys() - experiment.budgets.keys()):
                known = f"the file has {', '.join(experiment.budgets)}."
                raise UsageError(f"{path}: a sweep names the budget '{unknown[0]}'; {known}")
        build_report(experiment.report, path)
        return experiment

    @property
    def packages(self) -> list[str]:
        """The packages whose classes make and prepare the report: the file's author trusts them."""
        nodes = json.dumps([self.report, self.prepare])
        return sorted({*re.findall(r'"_target_": "(\w+)', nodes)} - {"ir_lightning"})

    def jobs(self, dataset: str = SYNTHETIC, budget: str = "cpu") -> list[Job]:
        """Every run, as they are started; UsageError if there is no such budget."""
        if budget not in self.budgets:
            known = ", ".join(self.budgets)
            raise UsageError(f"{self.name} has no budget '{budget}'; take {known}.")
        datasets = chosen_datasets(self.datasets, dataset)
        jobs = []
        for sweep, data, seed in itertools.product(self.sweeps, datasets, self.seeds[budget]):
            several = {"dataset": data} if len(self.datasets) > 1 else {}
            for values in itertools.product(*sweep.axes.values()):
                cell = dict(zip(sweep.axes, map(_written, values), strict=True))
                overrides = [f"budget={budget}", f"dataset={data}", f"seed={seed}", *self.fixed]
                overrides += [f"{key}={value}" for key, value in cell.items()]
                overrides += [*sweep.budgets.get(budget, []), *self.budgets[budget]]
                jobs.append(Job(several | cell, seed, overrides))
        return jobs


def chosen_datasets(datasets: Mapping[str, str], dataset: str) -> list[str]:
    """The data sets that a word or a name stands for, of the paper's with their stand-ins."""
    words = {SYNTHETIC: list(datasets.values()), BENCHMARKS: list(datasets)}
    return words.get(dataset, [dataset])


def names() -> list[str]:
    return sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))


def _written(value: Any) -> str:
    """A value as Hydra writes it."""
    return json.dumps(value).replace(" ", "") if isinstance(value, list) else str(value)


def locate(jobs: Sequence[Job], extra: Sequence[str]) -> list[Path]:
    """The directory that each job's run has, or will have."""
    places = []
    for job in jobs:
        overrides = [*job.overrides, *extra]
        config = check(load_config(overrides), overrides).config
        places.append(directory_of(config, overrides, training_hash(config)))
    return places


def write_index(
    folder: Path,
    experiment: Experiment,
    jobs: Sequence[Job],
    places: Sequence[Path],
    budget: str,
    dataset: str = SYNTHETIC,
    extra: Sequence[str] = (),
) -> None:
    """Record in ``folder``, and relative to it, which cell and seed of an experiment lies where."""
    index = {
        "experiment": experiment.name,
        "title": experiment.title,
        "budget": budget,
        "dataset": dataset,
        "datasets": experiment.datasets,
        "overrides": list(extra),
        "prepare": experiment.prepare,
        "report": experiment.report,
        "runs": [
            {"cell": job.cell, "seed": job.seed, "run": os.path.relpath(place, folder)}
            for job, place in zip(jobs, places, strict=True)
        ],
    }
    write_json(folder / INDEX, index)


def commands(
    experiment: Experiment, dataset: str, budget: str, launcher: str | None, extra: Sequence[str]
) -> list[list[str]]:
    """The sweeps of an experiment, each as the arguments of train.py: one for each product."""
    seeds = ",".join(map(str, experiment.seeds[budget]))
    data = ",".join(chosen_datasets(experiment.datasets, dataset))
    engine = [f"hydra/launcher={launcher}"] if launcher else []
    common = [f"budget={budget}", f"dataset={data}", f"seed={seeds}", *experiment.fixed]
    sweeps = []
    for sweep in experiment.sweeps:
        axes = [(key, ",".join(map(_written, values))) for key, values in sweep.axes.items()]
        own = [override.partition("=") for override in sweep.budgets.get(budget, [])]
        axes += [(key, value) for key, _, value in own]
        # Hydra first composes a configuration without what is a choice, even of one: that of the
        # fixed overrides, which may lack keys that only this sweep's runs have.
        choices = [f"{key}=choice({values})" for key, values in axes]
        sweeps.append([*engine, *common, *choices, *experiment.budgets[budget], *extra, "-m"])
    return sweeps
