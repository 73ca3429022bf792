"""A sweep: every configuration is checked before the first is trained, and every end is told.

Hydra's launchers start the runs, here, through Ray or through SLURM. What has become of each is on
disk, so the same command again runs only what is missing or failed, and two controllers may share
one directory.
"""

import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from ir_lightning.errors import UsageError
from ir_lightning.launch.child import CONTEXT
from ir_lightning.launch.error_reporter import FAILED, MISTAKES, USAGE, sentence
from ir_lightning.launch.preflight import Known, check, resolve
from ir_lightning.runs.evaluations import evaluation_folder
from ir_lightning.runs.identity import VERSION, directory_of, evaluation_hash, training_hash
from ir_lightning.runs.record import read_result, reset_run, score_cells, write_result
from ir_lightning.runs.state import State, identity_of, state_of, write_sweep

BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
console = Console(highlight=False)


@dataclass(frozen=True)
class Planned:
    """One configuration of a sweep."""

    label: str
    """What it has of its own: the overrides that vary."""
    overrides: list[str]
    config_hash: str
    evaluation: str
    run_dir: Path

    @property
    def key(self) -> str:
        """What is trained and how it is scored; plans that agree in it are one."""
        return f"{self.config_hash}-{self.evaluation}"

    @property
    def folder(self) -> Path:
        """Where its record lies: the run's directory, or that of a later evaluation of it."""
        return evaluation_folder(self.run_dir, self.evaluation)

    def state(self) -> State | None:
        """What has become of it so far."""
        return state_of(self.folder)


planned: list[Planned] = []
"""The sweep of this process, once it has been checked."""


class SweepPlanner(Callback):
    """Hydra's hook at the start of a multirun (``hydra.callbacks`` in conf/train.yaml)."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check everything, and put into the queue what is missing or failed.

        Raises:
            SystemExit: 2, after a sentence for each configuration that cannot work. Hydra makes a
                warning of any other exception of a callback, and would start the sweep unchecked.
        """
        try:
            self._begin(config)
        except Exception:
            traceback.print_exc()
            raise SystemExit(FAILED) from None

    def _begin(self, config: DictConfig) -> None:
        master = config.copy()
        refused: list[str] = []
        configs: dict[str, DictConfig] = {}
        jobs = expand(master)
        known: Known = {}
        for overrides, label in zip(jobs, labels(jobs), strict=True):
            try:
                plan, complete = _plan(master, overrides, label, known)
            except MISTAKES as error:
                refused.append(f"{label}: {sentence(error, _conf(master))}")
                continue
            if plan.key not in configs:  # options that mean the same are one run
                configs[plan.key] = complete
                planned.append(plan)
        if not refused:
            refused, notice = memory(planned, configs, _here(master))
            console.print(notice, soft_wrap=True)
        if refused:
            planned.clear()
            _refuse([*refused, f"Nothing was started: {len(refused)} of {len(jobs)} cannot work."])
        queue(planned, master)
        if "submitit" in str(master.hydra.launcher._target_):
            _quieten_submitit()


def _quieten_submitit() -> None:
    """Without SLURM's accounting, ``sacct`` fails at every look; submitit does without it."""
    import logging

    from submitit.slurm.slurm import SlurmInfoWatcher

    logging.getLogger("submitit").setLevel(logging.ERROR)
    make = SlurmInfoWatcher._make_command

    def quiet(watcher: Any) -> Any:
        command = make(watcher)
        return command and ["sh", "-c", 'exec "$@" 2>/dev/null', "sh", *command]

    setattr(SlurmInfoWatcher, make.__name__, quiet)


def _refuse(sentences: Sequence[str]) -> NoReturn:
    """End the program with the sentences."""
    for sentence_ in sentences:
        print(f"error: {sentence_}", file=sys.stderr)
    raise SystemExit(USAGE)


def expand(master: DictConfig) -> list[list[str]]:
    """The overrides of every job, as Hydra's own sweeper will make them."""
    overrides = OmegaConf.to_container(master.hydra.overrides.task, resolve=False)
    parameters = OmegaConf.select(master, "hydra.sweeper.params") or {}
    given = [f"{key}={value}" for key, value in parameters.items()]
    given += [str(override) for override in overrides]  # type: ignore[union-attr]
    parsed = OverridesParser.create().parse_overrides(given)
    (jobs,) = BasicSweeper.split_arguments(parsed, None)
    return jobs


def labels(jobs: Sequence[Sequence[str]]) -> list[str]:
    """The overrides in which a job differs from another one; all of them if there is only one."""
    common = set.intersection(*(set(job) for job in jobs)) if len(jobs) > 1 else set()
    return [",".join(o for o in job if o not in common) for job in jobs]


def _plan(
    master: DictConfig, overrides: list[str], label: str, known: Known
) -> tuple[Planned, DictConfig]:
    composed = GlobalHydra.instance().config_loader().load_sweep_config(master, overrides)
    OmegaConf.set_struct(composed, False)
    composed.pop("hydra")
    config = check(composed, overrides, known).config
    devices, nodes = config.trainer.devices, config.trainer.get("num_nodes", 1)
    if _here(master) and (devices != 1 or nodes != 1):
        raise UsageError(
            f"trainer.devices={devices} inside a local sweep would start the whole sweep again in "
            "every process: use hydra/launcher=slurm_ddp (a SLURM job for each run, with a task "
            "for each GPU), or hydra/launcher=node8 with trainer=auto (Ray, a GPU for each run)."
        )
    config_hash = training_hash(config)
    run_dir = directory_of(config, overrides, config_hash)
    return Planned(label, overrides, config_hash, evaluation_hash(config), run_dir), config


def memory(
    plans: Sequence[Planned], configs: Mapping[str, DictConfig], here: bool
) -> tuple[list[str], str]:
    """Whether each run can be built and fits this machine; on another one, what they need.

    Returns:
        A sentence for each run that is refused, and one about the largest.
    """
    wanted = [(plan.label, resolve(configs[plan.key])) for plan in plans]
    with ProcessPoolExecutor(max_workers=1, mp_context=CONTEXT) as pool:  # lightning stays out
        try:
            return pool.submit(_weigh, wanted, here).result()
        except BrokenProcessPool:  # a part of somebody's own took the process with it
            return [], "The memory of a run could not be estimated."


def _weigh(wanted: list[tuple[str, dict[str, Any]]], here: bool) -> tuple[list[str], str]:
    from ir_lightning.training.memory import GIB, Estimate, available

    there = available(wanted[0][1]["trainer"]["accelerator"])
    needs: dict[str, Any] = {}
    refused, largest = [], (0, "")
    for label, plain in wanted:
        # What differs in its seed or its images needs the same.
        parts = [plain[key] for key in ("system", "trainer", "callbacks")]
        key = json.dumps([parts, plain["budget"]], sort_keys=True, default=str)
        if key not in needs:
            needs[key] = _need(plain, there if here else None)
        if isinstance(need := needs[key], UsageError):
            refused.append(f"{label}: {need}")
        elif isinstance(need, Estimate):
            largest = max(largest, (need.total, label))
    size, label = largest
    notice = f"Memory of a run: up to about {size / GIB:.2f} GiB ({label})"
    return refused, f"{notice} of {there.bytes / GIB:.1f} ({there.device})." if here else notice


def _need(plain: dict[str, Any], there: Any) -> Any:
    """The memory that a run needs, or why it is refused; ``there`` is None on another machine."""
    from ir_lightning.training.loop import refuse_unbuildable
    from ir_lightning.training.memory import estimate, refuse_too_large

    try:
        refuse_unbuildable(plain, here=there is not None)
        need = estimate(plain)
        if there is not None:
            refuse_too_large(plain, need, there)
    except UsageError as error:
        return error
    return need


def _conf(master: DictConfig) -> str:
    """The folder of the configuration."""
    sources = master.hydra.runtime.config_sources
    return next(str(source.path) for source in sources if source.provider == "main")


def _here(master: DictConfig) -> bool:
    """Whether the runs are trained one after the other on this machine."""
    return bool(master.hydra.launcher._target_ == BASIC)


def queue(plans: Sequence[Planned], master: DictConfig) -> None:
    """Record the sweep and what it is going to run, and say so.

    While another controller works on the same sweep, what has failed there has failed in this one.
    """
    states = {plan.key: plan.state() for plan in plans}
    active = any(state and state.status == "running" for state in states.values())
    identity = identity_of(states)
    runs = Path(master.paths.runs)
    counted = dict.fromkeys(("finished", "running", "failed", "queued", "to be evaluated"), 0)
    try:
        if master.rerun and not active:
            finished = [p for p in plans if (s := states[p.key]) and s.status == "finished"]
            for run_dir in {plan.run_dir for plan in finished}:
                reset_run(run_dir)
            states |= {plan.key: None for plan in finished}
        for plan in plans:
            state = states[plan.key]
            status: str = state.status if state else "queued"
            if status == "queued" or (status == "failed" and not active):
                trained = read_result(plan.run_dir).get("status") == "finished"
                status = "to be evaluated" if trained else "queued"
                _write_queued(plan, identity)
            counted[status] += 1
        write_sweep(runs, identity, list(dict.fromkeys(plan.run_dir.name for plan in plans)))
    except OSError as error:
        _refuse([f"paths.runs={runs} cannot be written: {error.strerror}."])
    counts = ", ".join(f"{number} {status}" for status, number in counted.items() if number)
    console.print(f"Sweep {identity}: {len(plans)} runs in {runs}: {counts}.")


def _write_queued(plan: Planned, identity: str) -> None:
    record = {
        "status": "queued",
        "config_hash": plan.config_hash,
        "identity_version": VERSION,
        "evaluation": plan.evaluation,
        "overrides": plan.overrides,
        "sweep": identity,
        "label": plan.label,
    }
    write_result(plan.folder, record)


def summary() -> int:
    """Print what has become of this process's sweep.

    Returns:
        The exit code: 1 if a run failed, else 0.
    """
    states = [(plan, plan.state()) for plan in planned]
    table = Table(title=f"{len(planned)} runs")
    for column in ("run", "status"):
        table.add_column(column, overflow="fold")
    scores = [score_cells(state.record) if state else {} for _, state in states]
    columns = list(dict.fromkeys(column for cells in scores for column in cells))
    for column in columns:
        table.add_column(column, justify="right")
    failures = []
    for (plan, state), cells in zip(states, scores, strict=True):
        shown: str = (status := state.status if state else "queued")
        if state and status == "running" and state.attempt:
            shown = f"running: {state.attempt.owner}"
        if state and status == "failed":
            failures.append((plan, state))
        table.add_row(plan.label, shown, *(cells.get(column, "") for column in columns))
    console.print(table)
    for plan, state in failures:
        written = state.log or state.record.get("log")
        log = f" Log: {written}" if written else ""
        console.print(f"failed: {plan.label}: {state.reason}{log}", soft_wrap=True, markup=False)
    if failures:
        console.print(
            f"{len(failures)} of {len(planned)} failed; the same command tries them again."
        )
    return FAILED if failures else 0
