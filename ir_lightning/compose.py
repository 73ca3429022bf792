"""conf/train.yaml with overrides, asked for by the program and not by a command line."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from ir_lightning import resolvers

resolvers.register()
CONF = Path(__file__).resolve().parent.parent / "conf"


def composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration that train.py would be given with these overrides."""
    if GlobalHydra.instance().is_initialized():  # inside train.py, perhaps with a --config-dir
        return compose("train", overrides=list(overrides))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=list(overrides))
