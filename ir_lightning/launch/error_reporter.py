"""Turns what a person can get wrong into one sentence and an exit code."""

import difflib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ir_lightning.errors import RunError, UsageError

FAILED, USAGE = 1, 2
MISTAKES = (UsageError, HydraException, OmegaConfBaseException)  # in what was asked for


class ErrorReporter:
    """Says mistakes on stderr as they happen, and remembers the exit code.

    Args:
        conf: folder of the configuration, to suggest the key that was meant.
    """

    def __init__(self, conf: str) -> None:
        self.conf = conf
        self.code = 0

    @contextmanager
    def catch(self) -> Iterator[None]:
        """Swallow a mistake after one sentence. Any other exception is a bug, and passes.

        The exit code becomes 2 for a request that cannot work, 1 for a run that failed under way.
        In a sweep the other runs go on, unless a signal asked to stop.
        """
        try:
            yield
        except MISTAKES as error:
            self._tell(sentence(error, self.conf), USAGE)
        except RunError as error:
            self._tell(str(error), FAILED)

    def _tell(self, text: str, code: int) -> None:
        print(f"error: {text}", file=sys.stderr, flush=True)
        self.code = self.code or code


def sentence(error: Exception, conf: str) -> str:
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


def suggestion(key: str, conf: str) -> str:
    """ " Did you mean ...?", or where the keys are when none comes close."""
    if (Path(conf) / key).is_dir():
        return f" +{key}=... adds an option of conf/{key}/."
    GlobalHydra.instance().clear()
    with initialize_config_dir(conf, version_base="1.3"):
        known = list(_keys(compose("train")))
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
