"""The Hydra app: one run, or a sweep with -m, from a command line to an exit code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # exceptions reach us, to be put in words

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ir_lightning.errors import RunError, Stopped
from ir_lightning.launch import sweep
from ir_lightning.launch.config import CONF, FAILED, MISTAKES, USAGE, sentence
from ir_lightning.launch.run import run


class ErrorReporter:
    """Says mistakes on stderr as they happen, and remembers the exit code."""

    code = 0

    @contextmanager
    def catch(self) -> Iterator[None]:
        """Swallow a mistake after one sentence. Any other exception is a bug, and passes.

        The exit code becomes 2 for a request that cannot work, 1 for a run that failed under way.
        In a sweep the other runs go on, unless a signal asked to stop.
        """
        try:
            yield
        except (*MISTAKES, RunError) as error:
            usage = isinstance(error, MISTAKES)
            print(f"error: {sentence(error) if usage else error}", file=sys.stderr, flush=True)
            self.code = self.code or (USAGE if usage else FAILED)


reporter = ErrorReporter()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def job(config: DictConfig) -> None:
    """Do what one configuration says."""
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    os.chdir(hydra_config.runtime.cwd)  # a cluster's worker may have been started elsewhere
    with reporter.catch():
        run(config, overrides, in_sweep=not OmegaConf.is_missing(hydra_config.job, "num"))


def main() -> None:
    """Run what ``sys.argv`` says; always ends in SystemExit.

    The exit code is 0, 1 (a run failed), 2 (a bad request), or 128 + the signal that stopped it.
    """
    sys.argv = ["sweep.fail_fast=true" if a == "--fail-fast" else a for a in sys.argv]
    try:
        with reporter.catch():
            job()
    except Stopped as stop:
        print(f"{stop}; the same command continues.", file=sys.stderr)
        reporter.code = 128 + stop.signum
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("submitit", "ray"):
            raise
        print(f"error: a job was lost: {str(error).splitlines()[0]}", file=sys.stderr)
        reporter.code = FAILED
    finally:
        if sweep.planned:
            reporter.code = max(reporter.code if reporter.code != USAGE else 0, sweep.summary())
    sys.exit(reporter.code)
