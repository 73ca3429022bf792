"""A run that begins with the networks of another one (section V of arXiv 2212.02198).

``pretrain.generator=RUN`` and ``pretrain.discriminator=RUN`` name a finished run. The word
``first`` stands for the run that has this one's overrides, but for those in ``pretrain.first``: it
is trained first, unless it has been.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from ir_lightning.build import current
from ir_lightning.errors import UsageError
from ir_lightning.launch.config import load_config
from ir_lightning.runs.identity import canonical, directory_of, training_hash
from ir_lightning.runs.record import NETWORKS, read_result
from ir_lightning.runs.state import find

FIRST = "first"
KEY = re.compile(r"[+~]*([\w./]+)")


class SourceRun(NamedTuple):
    """The run that a network comes from, with its complete configuration."""

    run_dir: Path
    config: DictConfig
    config_hash: str


class FirstRun(NamedTuple):
    """A run to be trained before another one; its configuration is not yet checked."""

    config: DictConfig
    overrides: list[str]


def first_run(config: DictConfig, overrides: Sequence[str]) -> FirstRun | None:
    """The run that ``pretrain.first`` describes, if a network is to come from it.

    Raises:
        UsageError: the word is used without overrides, or with several devices.
    """
    settings = config.pretrain
    if FIRST not in (settings.generator, settings.discriminator):
        return None
    if not settings.first:
        raise UsageError(
            'pretrain.first has no overrides: say how the first run differs, such as "pretrain.'
            "first=['task=reconstruction','loss=mse']\", or take pretrain=reconstruction."
        )
    if config.trainer.devices != 1:
        raise UsageError(
            f"trainer.devices={config.trainer.devices}: a first run and the one after it cannot "
            "share several devices. Train the first by itself, then give pretrain.generator=RUN."
        )
    others = [str(override) for override in settings.first]
    replaced = {key_of(override) for override in others} | {"pretrain", "run_dir"}

    def stays(key: str) -> bool:  # unless one of a.b.c, a.b and a is replaced
        return replaced.isdisjoint(accumulate(key.split("."), "{}.{}".format))

    changed = [*(o for o in overrides if stays(key_of(o))), *others]
    first = load_config(changed)
    first.paths = config.paths  # where things lie was settled when the command began
    return FirstRun(first, changed)


def key_of(override: str) -> str:
    """The key, or the group, that an override is about.

    >>> key_of("+metric@evaluation.metrics=[vif]")
    'metric'
    """
    found = KEY.match(override)
    return found[1] if found else override


def resolve_sources(config: DictConfig, first: DictConfig | None, overrides: Sequence[str]) -> None:
    """Replace the names of runs by their directories, and note which configurations they have.

    ``pretrain.sources`` is what identifies a pre-trained run: not where the other run lies, or
    whether it was named or trained in the same command. ``config`` is changed; ``first`` is the
    checked configuration of the run before it, made with ``overrides``.

    Raises:
        UsageError: no such run, it has not finished, or its network is another one.
    """
    sources = {}
    for network in NETWORKS:
        word = config.pretrain.get(network)
        if word is None:
            continue
        if isinstance(word, float):  # 81533e9077, and with it all that told which run it was
            raise UsageError(
                f"pretrain.{network}={word}: the hash was read as a number; quote it, as in "
                f"\"pretrain.{network}='81533e9077'\", or give the run's folder."
            )
        if str(word) == FIRST and first is not None:
            config_hash = training_hash(first)
            run_dir = directory_of(first, list(overrides), config_hash)
            source = SourceRun(run_dir, first, config_hash)
        else:
            source = _named(network, str(word), Path(config.paths.runs))
        _refuse_another_network(network, source, config)
        config.pretrain[network] = str(source.run_dir)
        sources[network] = source.config_hash
    if sources:
        OmegaConf.update(config, "pretrain.sources", sources, force_add=True)


def iterations_before(plain: Mapping[str, Any]) -> int:
    """Iterations that the networks of a run have had before it, in all the runs they come from."""
    sources = [plain["pretrain"][network] for network in plain["pretrain"].get("sources") or ()]
    records = [read_result(Path(source)) for source in sources]
    return max((r["iterations"] + r.get("pretrained", 0) for r in records), default=0)


def _named(network: str, word: str, runs: Path) -> SourceRun:
    try:
        state = find(word, runs)
    except UsageError as error:
        raise UsageError(f"pretrain.{network}={error}") from None
    if state.status != "finished":
        raise UsageError(f"pretrain.{network}={word} is {state.status}: it must have finished.")
    try:
        config = OmegaConf.load(state.run_dir / "config.yaml")
        assert isinstance(config, DictConfig)
        return SourceRun(state.run_dir, config, str(state.record["config_hash"]))
    except (OSError, KeyError, AssertionError):
        raise UsageError(
            f"pretrain.{network}={word}: {state.run_dir} lacks its configuration or hash."
        ) from None


def _refuse_another_network(network: str, source: SourceRun, config: DictConfig) -> None:
    theirs, ours = (_plain(each.get(network)) for each in (source.config, config))
    if not ours:
        raise UsageError(f"pretrain.{network} is given, but this run has no {network}.")
    if not theirs:
        raise UsageError(f"pretrain.{network}: {source.run_dir} has trained no {network}.")
    # To know a class's defaults is to import it: none that this run does not have anyway.
    if _targets(theirs) <= _targets(ours):
        theirs, ours = canonical(theirs), canonical(ours)
    different = [
        f"{key}: {theirs.get(key)} there, {ours.get(key)} here"
        for key in sorted({*theirs, *ours})
        if theirs.get(key) != ours.get(key)
    ]
    if theirs != ours:
        raise UsageError(
            f"pretrain.{network}: {source.run_dir} has another {network} ({'; '.join(different)})."
        )


def _plain(node: Any) -> dict[str, Any]:
    """A network's configuration by its current names; empty where there is none."""
    found = {} if node is None else current(OmegaConf.to_container(node, resolve=True))
    assert isinstance(found, dict)
    return found


def _targets(node: dict[str, Any]) -> set[str]:
    """The classes that a configuration names."""
    return set(re.findall(r'"_target_": "([^"]+)"', json.dumps(node, default=str)))
