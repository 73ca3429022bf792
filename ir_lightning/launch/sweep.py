"""A sweep: every configuration is checked before the first is trained, and every end is told."""

import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write
from rich.console import Console
from rich.table import Table

from ir_lightning.errors import UsageError
from ir_lightning.launch import sharing
from ir_lightning.launch.child import CONTEXT, begin_importing
from ir_lightning.launch.config import FAILED, MISTAKES, USAGE, sentence
from ir_lightning.launch.preflight import Known, check, resolve
from ir_lightning.runs import record as records
from ir_lightning.runs.identity import VERSION, directory_of, evaluation_hash, training_hash
from ir_lightning.runs.state import identity_of, state_of, write_sweep

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
        return records.evaluation_folder(self.run_dir, self.evaluation)


planned: list[Planned] = []
"""The sweep of this process, once it has been checked."""


class SweepPlanner(Callback):
    """Hydra's hook at the start of a multirun (``hydra.callbacks`` in conf/train.yaml)."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check everything, and put into the queue what is missing or failed.

        Raises:
            SystemExit: 2, after a sentence for each configuration that cannot work; Hydra makes a
                warning of any other exception of a callback, and would start the sweep.
        """
        try:
            sharing.look_for_gpu(config)
            tell_speed(config)
            self._begin(config.copy())
        except Exception:
            traceback.print_exc()
            raise SystemExit(FAILED) from None

    def _begin(self, master: DictConfig) -> None:
        begin_importing()
        refused: list[str] = []
        configs: dict[str, DictConfig] = {}
        jobs = expand(master)
        known: Known = {}
        here = master.hydra.launcher._target_ == BASIC  # one after the other on this machine
        conf = next(s.path for s in master.hydra.runtime.config_sources if s.provider == "main")
        for overrides, label in zip(jobs, labels(jobs), strict=True):
            try:
                plan, complete = _plan(master, overrides, label, known, here)
            except MISTAKES as error:
                refused.append(f"{label}: {sentence(error, conf)}")
                continue
            if plan.key not in configs:  # options that mean the same are one run
                configs[plan.key] = complete
                planned.append(plan)
        if not refused:
            need = weigh(planned, configs, here)
            refused = need.refused
            console.print(need.notice, soft_wrap=True)
        if refused:
            planned.clear()
            _refuse([*refused, f"Nothing was started: {len(refused)} of {len(jobs)} cannot work."])
        queue(planned, master)
        if sharing.is_open(master):
            states = [state_of(plan.folder) for plan in planned]
            waiting = sum(state is not None and state.status != "finished" for state in states)
            dearest = configs[need.dearest]
            said = sharing.settle(master, waiting, dearest, need.bytes, need.memory, need.gpus)
            console.print(said, soft_wrap=True)
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
    print(*(f"error: {each}" for each in sentences), sep="\n", file=sys.stderr)
    raise SystemExit(USAGE)


def expand(master: DictConfig) -> list[list[str]]:
    """The overrides of every job, as Hydra's own sweeper will make them."""
    parameters = OmegaConf.select(master, "hydra.sweeper.params") or {}
    given = [f"{key}={value}" for key, value in parameters.items()]
    overrides = OmegaConf.to_container(master.hydra.overrides.task, resolve=False)
    given += [str(override) for override in overrides]  # type: ignore[union-attr]
    (jobs,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(given), None)
    return jobs


def labels(jobs: Sequence[Sequence[str]]) -> list[str]:
    """The overrides in which a job differs from another one; all of them if there is only one."""
    common = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    return [",".join(o for o in job if o not in common) for job in jobs]


def _plan(
    master: DictConfig, overrides: list[str], label: str, known: Known, here: bool
) -> tuple[Planned, DictConfig]:
    composed = GlobalHydra.instance().config_loader().load_sweep_config(master, overrides)
    OmegaConf.set_struct(composed, False)
    composed.pop("hydra")
    config = check(composed, overrides, known).config
    devices, nodes = config.trainer.devices, config.trainer.get("num_nodes", 1)
    if here and (devices != 1 or nodes != 1):
        raise UsageError(
            f"trainer.devices={devices} inside a local sweep would start the whole sweep again in "
            "every process: use hydra/launcher=slurm_ddp (a SLURM job for each run, with a task "
            "for each GPU), or hydra/launcher=node8 with trainer=auto (Ray, a GPU for each run)."
        )
    config_hash = training_hash(config)
    run_dir = directory_of(config, overrides, config_hash)
    return Planned(label, overrides, config_hash, evaluation_hash(config), run_dir), config


def tell_speed(master: DictConfig) -> None:
    """Where other machines may train, let each run have the speed that its launcher asks for.

    With ``speed=auto``, each would look at its own devices, and be another run than the planned.
    """
    launcher, given = master.hydra.launcher, master.hydra.overrides.task
    chosen = any(str(override).startswith("speed=") for override in given)
    if launcher._target_ == BASIC or chosen or master.trainer.accelerator != "auto":
        return
    gpus = launcher.get("gpus_per_node") or OmegaConf.select(launcher, "ray.remote.num_gpus")
    with read_write(given):
        given.append(f"speed={master.speed['gpu' if gpus else 'cpu'].name}")


class Need(NamedTuple):
    """What the runs of a sweep need, beside what there is."""

    refused: list[str]
    """A sentence about each that cannot be built, or does not fit this machine."""
    dearest: str
    """Which needs the most memory."""
    bytes: int = 0
    """The memory of that one, if it is known."""
    memory: int = 0
    """Bytes of the device of this machine that would train it."""
    gpus: int = 0
    """Of this machine."""
    notice: str = "The memory of a run could not be estimated."


def weigh(plans: Sequence[Planned], configs: Mapping[str, DictConfig], here: bool) -> Need:
    """What the runs need; ``here``: they are to fit this machine."""
    wanted = [(plan.key, plan.label, resolve(configs[plan.key])) for plan in plans]
    with ProcessPoolExecutor(max_workers=1, mp_context=CONTEXT) as pool:  # lightning stays out
        try:
            return pool.submit(_weigh, wanted, here).result()
        except BrokenProcessPool:  # a part of somebody's own took the process with it
            return Need([], wanted[0][0])


def _weigh(wanted: list[tuple[str, str, dict[str, Any]]], here: bool) -> Need:
    from torch.cuda import device_count

    from ir_lightning.training import memory
    from ir_lightning.training.loop import refuse_unbuildable

    there = memory.available(wanted[0][2]["trainer"]["accelerator"])
    needs: dict[str, memory.Estimate | memory.Unknown | UsageError] = {}
    refused, largest = [], (0, "", wanted[0][0])
    for name, label, plain in wanted:
        # What differs in its seed or its images needs the same.
        parts = [plain[key] for key in ("system", "trainer", "callbacks")]
        key = json.dumps([parts, plain["budget"]], sort_keys=True, default=str)
        if key not in needs:
            try:
                refuse_unbuildable(plain, here=here)
                needs[key] = estimated = memory.estimate(plain)
                if here:
                    memory.refuse_too_large(plain, estimated, there)
            except UsageError as error:
                needs[key] = error
        need = needs[key]
        if isinstance(need, UsageError):
            refused.append(f"{label}: {need}")
        elif isinstance(need, memory.Estimate):
            largest = max(largest, (need.total, label, name))
    size, label, dearest = largest
    notice = f"Memory of a run: up to about {size / memory.GIB:.2f} GiB ({label})"
    if here:
        notice += f" of {there.bytes / memory.GIB:.1f} ({there.device})."
    return Need(refused, dearest, size, there.bytes, device_count(), notice)


def queue(plans: Sequence[Planned], master: DictConfig) -> None:
    """Record the sweep and what it is going to run, and say so.

    While another controller works on the same sweep, what has failed there has failed in this one.
    """
    states = {plan.key: state_of(plan.folder) for plan in plans}
    active = any(state and state.status == "running" for state in states.values())
    identity = identity_of(states)
    runs = Path(master.paths.runs)
    counted = dict.fromkeys(("finished", "running", "failed", "queued", "to be evaluated"), 0)
    try:
        if master.rerun and not active:
            finished = [p for p in plans if (s := states[p.key]) and s.status == "finished"]
            for run_dir in {plan.run_dir for plan in finished}:
                records.reset_run(run_dir)
            states |= {plan.key: None for plan in finished}
        for plan in plans:
            state = states[plan.key]
            status: str = state.status if state else "queued"
            if status == "queued" or (status == "failed" and not active):
                trained = records.read_result(plan.run_dir).get("status") == "finished"
                status = "to be evaluated" if trained else "queued"
                record = {
                    "status": "queued",
                    "config_hash": plan.config_hash,
                    "identity_version": VERSION,
                    "evaluation": plan.evaluation,
                    "overrides": plan.overrides,
                    "sweep": identity,
                    "label": plan.label,
                }
                records.write_result(plan.folder, record)
            counted[status] += 1
        write_sweep(runs, identity, list(dict.fromkeys(plan.run_dir.name for plan in plans)))
    except OSError as error:
        _refuse([f"paths.runs={runs} cannot be written: {error.strerror}."])
    counts = ", ".join(f"{number} {status}" for status, number in counted.items() if number)
    console.print(f"Sweep {identity}: {len(plans)} runs in {runs}: {counts}.")


def summary() -> int:
    """Print what has become of this process's sweep; the exit code is 1 if a run failed, else 0."""
    states = [(plan, state_of(plan.folder)) for plan in planned]
    table = Table(title=f"{len(planned)} runs")
    for column in ("run", "status"):
        table.add_column(column, overflow="fold")
    scores = [records.score_cells(state.record) if state else {} for _, state in states]
    columns = list(dict.fromkeys(column for cells in scores for column in cells))
    for column in columns:
        table.add_column(column, justify="right")
    for (plan, state), cells in zip(states, scores, strict=True):
        shown: str = state.status if state else "queued"
        if state and state.status == "running" and state.attempt:
            shown = f"running: {state.attempt.owner}"
        table.add_row(plan.label, shown, *(cells.get(column, "") for column in columns))
    console.print(table)
    failures = [(plan, state) for plan, state in states if state and state.status == "failed"]
    for plan, state in failures:
        written = state.log or state.record.get("log")
        log = f" Log: {written}" if written else ""
        console.print(f"failed: {plan.label}: {state.reason}{log}", soft_wrap=True, markup=False)
    if not failures:
        return 0
    console.print(f"{len(failures)} of {len(planned)} failed; the same command tries them again.")
    return FAILED
