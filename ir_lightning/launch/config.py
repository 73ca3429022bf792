"""The configuration of train.py, composed by the program and not by a command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from ir_lightning.networks.shapes import DEEPEST, smallest_crop

PACKAGE = Path(__file__).resolve().parents[1]
# In a checkout it lies beside the package, in an installed wheel inside it.
CONF = next(f for f in (PACKAGE / "conf", PACKAGE.parent / "conf") if f.is_dir())


def crop_for(depth: Any, at_least: int) -> int:
    """The smallest crop, in pixels, of ``at_least`` that a generator of this depth can carry.

    A generator of one's own may have no depth, or call something else so: that asks for nothing.
    """
    halved = type(depth) is int and 1 <= depth <= DEEPEST
    return max(smallest_crop(depth), at_least) if halved else at_least


# A word that configuration files may use in ${...} beside Hydra's own.
OmegaConf.register_new_resolver("smallest_crop", crop_for, replace=True)


def load_config(overrides: Sequence[str]) -> DictConfig:
    """The configuration that train.py would be given with these overrides."""
    if GlobalHydra.instance().is_initialized():  # inside train.py, perhaps with a --config-dir
        return compose("train", overrides=list(overrides))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=list(overrides))
