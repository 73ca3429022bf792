"""The configuration of train.py, composed by the program and not by a command line."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from ir_lightning.networks.shapes import smallest_crop

PACKAGE = Path(__file__).resolve().parents[1]
# In a checkout it lies beside the package, in an installed wheel inside it.
CONF = next(f for f in (PACKAGE / "conf", PACKAGE.parent / "conf") if f.is_dir())

# A word that configuration files may use in ${...} beside Hydra's own.
OmegaConf.register_new_resolver(
    "smallest_crop",
    lambda depth, at_least: max(smallest_crop(depth), at_least),
    replace=True,
)


def load_config(overrides: Sequence[str]) -> DictConfig:
    """The configuration that train.py would be given with these overrides."""
    if GlobalHydra.instance().is_initialized():  # inside train.py, perhaps with a --config-dir
        return compose("train", overrides=list(overrides))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=list(overrides))
