"""Data sets as train.py would build them, without a run: composed, found on disk, constructed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ir_lightning.build import build
from ir_lightning.data.samples import Source
from ir_lightning.errors import DataError, UnpairedError, UsageError
from ir_lightning.launch.config import CONF, load_config
from ir_lightning.launch.error_reporter import sentence
from ir_lightning.launch.preflight import SPLITS, resolve

Splits = dict[str, Source | UsageError | DataError]
"""The sources ``train``, ``validation`` and ``test``, or why they could not be built."""


def compose_data(dataset: str, overrides: Sequence[str]) -> DictConfig:
    """The configuration of ``train.py dataset=DATASET OVERRIDES``.

    Raises:
        UsageError: no such data set or key.
    """
    try:
        return load_config([f"dataset={dataset}", *overrides])
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(sentence(error, str(CONF))) from None


def located(
    dataset: str, overrides: Sequence[str], root: Path | None
) -> tuple[Path | None, Splits]:
    """Build the sources of a data set.

    Args:
        dataset: option of the group ``dataset``.
        overrides: of its configuration, as on train.py's command line.
        root: its own folder, or the folder that holds it under the data set's name; None if the
            overrides or the environment say where it is.

    Returns:
        The folder where it was found, and the sources.

    Raises:
        UsageError: there is nothing that could be examined; in the reader's words.
    """
    config = compose_data(dataset, overrides)
    if root is None:
        return None, _usable(_built(resolve(config)))
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; give the folder of the data set with --root.")
    inside = root / dataset
    places = [inside, root] if inside.is_dir() else [root]
    attempts = [_built(resolve(_at(config, place))) for place in places]
    for place, splits in zip(places, attempts, strict=True):
        if _is_something(splits):
            return place, splits
    return None, _usable(attempts[0])


def _at(config: DictConfig, root: Path) -> DictConfig:
    """The configuration for a data set that lies in ``root``."""
    config = config.copy()
    dataset = config.dataset
    keys = set(dataset)  # `in dataset` denies a key whose value is still to be given
    if "root" in keys:
        dataset.root = str(root)
    elif "train_dir" in keys:
        for key, folder in (("train_dir", "train"), ("test_dir", "test")):
            if OmegaConf.is_missing(dataset, key):
                dataset[key] = str(root / folder)
    else:
        raise UsageError(f"dataset={dataset.name} has no folder of its own: leave out --root.")
    return config


def _built(plain: dict[str, Any]) -> Splits:
    splits: Splits = {}
    for name in SPLITS:
        try:
            splits[name] = build(plain["dataset"][name], f"dataset.{name}")
        except (UsageError, DataError) as error:
            splits[name] = error
    return splits


def _is_something(splits: Splits) -> bool:
    """Whether a split was found, be it with files missing or broken."""
    return not all(_is_nothing(split) for split in splits.values())


def _is_nothing(split: Source | UsageError | DataError) -> bool:
    return isinstance(split, UsageError) and not isinstance(split, UnpairedError)


def _usable(splits: Splits) -> Splits:
    if not _is_something(splits):
        raise next(error for error in splits.values() if isinstance(error, UsageError))
    return splits
