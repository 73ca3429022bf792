"""What a run is called: by what was asked and by a hash of everything that shapes its numbers."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

# Where things lie and how a run is watched do not change its numbers. What a pre-trained run began
# with is in pretrain.sources.
NOT_IDENTITY = (
    "callbacks.progress",
    "checkpoint",
    "data.store",
    "data.stores",
    "data.workers",
    "dataset.store",
    "logger",
    "paths",
    "pretrain.discriminator",
    "pretrain.first",
    "pretrain.generator",
    "rerun",
    "run_dir",
    "sweep",
    "threads",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.sync_batchnorm",
)
LONGEST_NAME = 120  # characters; file systems allow 255 bytes


def config_hash(config: DictConfig) -> str:
    """Ten hexadecimal digits that stand for the whole configuration.

    The folder of the benchmarks is replaced by a placeholder first, so that a run is the same run
    wherever the data lie. A folder of the user's own, named outright, is part of the identity.
    """
    portable = OmegaConf.create(OmegaConf.to_container(config))
    OmegaConf.update(portable, "paths.data", "<paths.data>")
    plain = cast(dict[str, Any], OmegaConf.to_container(portable, resolve=True))
    for key in NOT_IDENTITY:
        *parents, last = key.split(".")
        node: Any = plain
        for parent in parents:
            node = node.get(parent) or {}
        node.pop(last, None)
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def directory_of(config: DictConfig, asked: list[str], digest: str) -> Path:
    """The run's directory: ``run_dir``, or the one with this hash, or a new one named as asked."""
    if config.run_dir:
        return Path(config.run_dir)
    runs = Path(config.paths.runs)
    known = sorted(runs.glob(f"*-{digest}"))
    return known[0] if known else runs / f"{name_of(asked)}-{digest}"


def name_of(asked: list[str]) -> str:
    """A file name out of command-line overrides, in alphabetical order.

    >>> name_of(["depth=3", "budget=smoke", "paths.runs=elsewhere"])
    'budget=smoke,depth=3'
    """
    told = [o for o in asked if not o.lstrip("+~").startswith(NOT_IDENTITY)]
    name = ",".join(sorted(override.lstrip("+~") for override in told))
    return re.sub(r"[^\w.,=+-]+", "_", name)[:LONGEST_NAME] or "default"
