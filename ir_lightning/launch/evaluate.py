"""Another evaluation of a trained run: other protocols, metrics or test images, whole or cut."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ir_lightning.build import TRAININGS, build, refuse_untrusted
from ir_lightning.data.cache.store import from_store
from ir_lightning.data.samples import Checked
from ir_lightning.errors import UsageError
from ir_lightning.launch.config import requested_config
from ir_lightning.launch.preflight import resolve
from ir_lightning.launch.pretraining import key_of
from ir_lightning.runs.identity import rebased
from ir_lightning.runs.legacy import CONFIG, read_config

SCORED = ("evaluation", "metric", "budget.test_images", "budget.evaluation_side")
TESTED = ("clean_dir", "dataset")
WHERE = ("data.workers", "paths.data", "paths.stores", "threads", "trainer.accelerator")
CHOICE = ("evaluation.choose_by", "evaluation.validation_metrics", "evaluation.validation_protocol")
"""What the best weights were chosen by, and what the training curve shows of the validations."""
LINKS = {
    "system.evaluation": "evaluation",
    "data.test": "dataset.test",
    "data.composition": "dataset.composition",
    "data.test_images": "budget.test_images",
    "data.evaluation_side": "budget.evaluation_side",
    "data.stores": "paths.stores",
}
"""What a run is built from, and where conf/train.yaml takes it from."""


def may_be_changed(override: str) -> bool:
    """Whether an override leaves the training alone: it is about scores, or about this machine."""
    key = key_of(override)
    return _lies_in(key, (*SCORED, *TESTED, *WHERE)) and not _lies_in(key, CHOICE)


def of_evaluation(overrides: Sequence[str]) -> list[str]:
    """Those of train.py's overrides that say how a run is scored."""
    return [o for o in overrides if _lies_in(key_of(o), (*SCORED, *TESTED))]


def with_evaluation(
    run_dir: Path, overrides: Sequence[str], trust: Sequence[str] = ()
) -> dict[str, Any]:
    """The plain configuration of a run, with another evaluation.

    ``config.yaml`` may come from a stranger. ``dataset=NAME`` stands for the test images of that
    data set, ``+metric=NAME`` for one more metric.

    Raises:
        UsageError: the configuration cannot be read or names what is not trusted, or an override
            cannot work, or is about something else than the evaluation.
    """
    plain = read_config(run_dir)
    refuse_untrusted(plain, run_dir / CONFIG, TRAININGS.plus(trust))
    keys = [key_of(override) for override in overrides]
    for key, override in zip(keys, overrides, strict=True):
        if not may_be_changed(override):
            raise UsageError(
                f"{override}: {key} is the training's, and {run_dir} is trained; give evaluation."
                "KEY, +metric, budget.test_images, budget.evaluation_side or dataset, or train "
                "another run."
            )
        if _lies_in(key, TESTED) and "dataset" not in keys:
            raise UsageError(f"{override}: give dataset=NAME with it, the data set to be tested.")
    if "budget.evaluation_side" in keys and "dataset" not in keys and _degrades(plain):
        raise UsageError(
            "budget.evaluation_side: synthetic test scenes are as large as what is scored of them; "
            f"give dataset={plain['dataset']['name']} with it, so that they are made anew."
        )
    composed = requested_config(overrides)
    try:
        return _applied(plain, composed, keys)
    except (LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{run_dir / CONFIG}: it is not the configuration of a run ({error!r})."
        ) from error


def _degrades(plain: Mapping[str, Any]) -> bool:
    """Whether the run's images are clean scenes that are degraded as they are read."""
    return bool(plain.get("dataset", {}).get("composition"))


def _applied(plain: dict[str, Any], composed: DictConfig, keys: Sequence[str]) -> dict[str, Any]:
    """The run's configuration in which these keys are as composed."""
    root = plain["paths"]["data"]
    if "paths.data" in keys and root is not None:
        plain = rebased(plain, str(root), str(composed.paths.data))
    elif root is not None:
        composed.paths.data = root
    wanted, config = OmegaConf.create(resolve(composed)), OmegaConf.create(plain)
    if "dataset" in keys:
        for part in ("test", "composition", "name"):
            config.dataset[part] = wanted.dataset[part]
    if "metric" in keys:
        config.evaluation.metrics = {**config.evaluation.metrics, **wanted.evaluation.metrics}
    for key in keys:
        if not _lies_in(key, ("metric", *TESTED)):
            OmegaConf.update(config, key, OmegaConf.select(wanted, key), merge=False)
    for place, source in LINKS.items():
        OmegaConf.update(config, place, OmegaConf.select(config, source), merge=False)
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


def test_names(plain: Mapping[str, Any]) -> list[str]:
    """The names of the test images, after a look at all of them.

    Raises:
        UsageError: there are none, or a file cannot be used.
    """
    data = plain["data"]
    source = build(data["test"], "data.test")
    if len(source) == 0:
        raise UsageError("dataset.test has no images.")
    if isinstance(source, Checked):
        source.check()
    from_store(source, data["store"], data["stores"], "test")
    return [source.name(index) for index in range(len(source))]


def _lies_in(key: str, places: Sequence[str]) -> bool:
    """Whether a key is one of these, or below one."""
    return f"{key}.".startswith(tuple(f"{place}." for place in places))
