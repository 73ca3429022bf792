"""The configuration of train.py, composed by the program; mistakes in it, in words."""

import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ir_lightning.errors import UsageError
from ir_lightning.networks.shapes import DEEPEST, smallest_crop

PACKAGE = Path(__file__).resolve().parents[1]
# In a checkout it lies beside the package, in an installed wheel inside it.
CONF = next(f for f in (PACKAGE / "conf", PACKAGE.parent / "conf") if f.is_dir())
MISTAKES = (UsageError, HydraException, OmegaConfBaseException)  # in what was asked for
FAILED, USAGE = 1, 2  # exit codes


def crop_for(depth: Any, at_least: int) -> int:
    """The smallest crop, in pixels, of ``at_least`` that a generator of this depth can carry."""
    halved = type(depth) is int and 1 <= depth <= DEEPEST
    return max(smallest_crop(depth), at_least) if halved else at_least


def between(least: int, value: Any, most: int) -> int:
    """A number, but ``least`` where there is none or it is less, and ``most`` where it is more."""
    return min(max(least, value), most) if type(value) is int else least


# Words that configuration files may use in ${...} beside Hydra's own.
OmegaConf.register_new_resolver("smallest_crop", crop_for, replace=True)
OmegaConf.register_new_resolver("between", between, replace=True)


def load_config(overrides: Sequence[str] = (), conf: Path | str = CONF) -> DictConfig:
    """The configuration that train.py would be given with these overrides."""
    if GlobalHydra.instance().is_initialized():  # inside train.py, perhaps with a --config-dir
        config = compose("train", overrides=list(overrides))
    else:
        with initialize_config_dir(str(conf), version_base="1.3"):
            config = compose("train", overrides=list(overrides))
    settle_speed(config)
    return config


def settle_speed(config: DictConfig) -> None:
    """Put the choice of ``speed=auto`` for this machine in its place, if it is still open."""
    if "cpu" in config.speed:
        chosen = config.speed[device_here(config.trainer.accelerator)]
        for key in chosen:
            if config.speed.get(key, "auto") != "auto":  # given with it: speed.graph=false
                chosen[key] = config.speed[key]
        config.speed = chosen


def device_here(accelerator: str) -> str:
    """``gpu`` or ``cpu``: what Lightning would train on."""
    drivers = Path("/dev/nvidiactl"), Path("/dev/dxg")  # of Linux, and of Linux within Windows
    if accelerator == "auto" and (sys.platform == "win32" or any(d.exists() for d in drivers)):
        import torch  # takes seconds: only now

        return "gpu" if torch.cuda.is_available() else "cpu"
    return "gpu" if accelerator in ("gpu", "cuda") else "cpu"


def requested_config(overrides: Sequence[str]) -> DictConfig:
    """The same; what is wrong with the overrides is said in a UsageError."""
    try:
        return load_config(overrides)
    except MISTAKES as error:
        raise UsageError(sentence(error)) from None


def sentence(error: Exception, conf: Path | str = CONF) -> str:
    """What is wrong and what to do, without Hydra's stack of causes."""
    text = str(error).strip()
    if unknown := re.search(r"Could not (?:override|delete|append to config) '([^']+)'", text):
        return f"There is no key '{unknown[1]}'.{suggestion(unknown[1], conf)}"
    if engine := re.search(r"hydra/launcher/(ray|submitit_slurm)\b", text):
        extra = "ray" if engine[1] == "ray" else "slurm"
        return (
            f"This hydra/launcher needs the package's extra '{extra}', which is not installed: "
            f"pip install -c constraints.txt -e '.[{extra}]'."
        )
    if missing := re.search(r"Could not (?:find|load) '([^']+)'", text):
        group, _, option = missing[1].rpartition("/")
        listed = re.search(r"Available options in '[^']*':\n(.*?)\nConfig search path", text, re.S)
        options = ", ".join(listed[1].split()) if listed else f"conf/{group}/"  # of a list of them
        return f"{group}={option}: there is no such option; choose from {options}."
    if isinstance(error, OverrideParseException):
        return f"The command line cannot be read: {text.splitlines()[0]}."
    return " ".join(line.strip() for line in text.splitlines() if "hydra.cc" not in line)


def suggestion(key: str, conf: Path | str) -> str:
    """ " Did you mean ...?", or where the keys are when none comes close."""
    if (Path(conf) / key).is_dir():
        return f" +{key}=... adds an option of conf/{key}/."
    GlobalHydra.instance().clear()
    known = list(_keys(load_config(conf=conf)))
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    ending = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    meant = (near or ending)[:1]
    return f" Did you mean '{meant[0]}'?" if meant else " See conf/train.yaml for the keys."


def _keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in map(str, config):
        yield f"{prefix}{name}"
        node: Any = config._get_node(name)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation():
            yield from _keys(node, f"{prefix}{name}.")
