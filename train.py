"""Train, score and look at one restorer, or sweep over many with -m.

python train.py generator=unet depth=5 loss=lsgan dataset=rain
python train.py generator=unet depth=1,2,3,4,5,6,7,8 -m
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # exceptions reach us, to be put in words

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ir_lightning.errors import Stopped
from ir_lightning.launch import sweep
from ir_lightning.launch.error_reporter import ErrorReporter
from ir_lightning.launch.run import run

CONF = str(Path(__file__).resolve().parent / "conf")
outcome = ErrorReporter(CONF)


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
def main(config: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    job, asked = hydra_config.job, list(hydra_config.overrides.task)
    os.chdir(hydra_config.runtime.cwd)  # a cluster's worker may have been started elsewhere
    with outcome.told():
        run(config, asked, in_sweep=not OmegaConf.is_missing(job, "num"))


if __name__ == "__main__":
    sys.argv = ["sweep.fail_fast=true" if a == "--fail-fast" else a for a in sys.argv]
    try:
        with outcome.told():
            main()
    except Stopped as stop:
        print(f"{stop}; the same command continues.", file=sys.stderr)
        outcome.code = 128 + stop.signum
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("submitit", "ray"):
            raise
        print(f"error: a job was lost: {str(error).splitlines()[0]}", file=sys.stderr)
        outcome.code = 1
    finally:
        if sweep.planned:
            outcome.code = max(outcome.code if outcome.code != 2 else 0, sweep.summary())
    sys.exit(outcome.code)
