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
from omegaconf import DictConfig

from ir_lightning.mistakes import Outcome
from ir_lightning.run import run

CONF = str(Path(__file__).resolve().parent / "conf")
outcome = Outcome(CONF)


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
def main(config: DictConfig) -> None:
    with outcome.told():
        run(config, asked=list(HydraConfig.get().overrides.task))


if __name__ == "__main__":
    with outcome.told():
        main()
    sys.exit(outcome.code)
