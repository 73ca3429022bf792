"""A run is what shapes its weights; an evaluation is what makes its scores; nothing else counts."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from ir_lightning.data.degradations.blended_rain import BlendedRain
from ir_lightning.launch.config import load_config
from ir_lightning.networks.generators.encoder_decoder import UNet
from ir_lightning.runs.identity import directory_of, evaluation_hash, name_of, training_hash
from ir_lightning.runs.legacy import read_config
from tests.conftest import CONF, Compose

SHAPES = {  # the weights
    "seed": "seed=1",
    "generator": "generator=encoder_decoder",
    "depth": "depth=4",
    "width": "width=8",
    "norm": "norm=none",
    "dropout": "generator.dropout=0.5",
    "enhancer": "enhancer=infoaccum",
    "upsampler": "upsampler=subpixel",
    "discriminator": "discriminator=none",
    "its layers": "discriminator.layers=4",
    "loss": "loss=gan",
    "a weight": "loss.l1.weight=10",
    "optimizer": "optimizer._target_=torch.optim.NAdam",
    "learning rate": "optimizer.lr=1e-4",
    "betas": "optimizer.betas=[0.9,0.999]",
    "schedule": "schedule=constant",
    "gradient clip": "optimization.gradient_clip=1.0",
    "iterations": "budget.iterations=7",
    "batch": "budget.batch=3",
    "crop": "budget.crop=128",
    "flip": "augment.flip=false",
    "transforms": "augment.extra=[{_target_: albumentations.ColorJitter}]",
    "data set": "dataset=haze",
    "training images": "dataset.train.built_in.sources.leaves.count=65",
    "photographs": "clean_dir=/a",
    "degradation": "dataset.composition.streaks.spread=3.0",
    "task": "task.input=clean",
    "small images": "dataset.small_images=skip",
    "precision": "trainer.precision=bf16-mixed",
    "accumulation": "+trainer.accumulate_grad_batches=2",
    "a callback": "+callbacks.x._target_=lightning.pytorch.callbacks.EMAWeightAveraging",
    "a first run": "+pretrain.sources.generator=0123456789",
    "validation": "dataset.validation.built_in.sources.leaves.count=3",
    "validation images": "budget.validation_images=2",
    "their cut": "budget.evaluation_side=64",
    "their choice": "data.evaluation_order=null",
    "their rhythm": "budget.checkpoint_every=7",
    "their metric": "evaluation.choose_by=ssim",
    "their protocol": "evaluation.validation_protocol=y-matlab",
}
SCORES = {  # only the scores
    "test images": "dataset.test.built_in.sources.leaves.count=3",
    "number of test images": "budget.test_images=1",
    "further protocols": "evaluation.protocols=[rgb8]",
    "another first protocol": "evaluation.protocols=[y-matlab]",
    "one more metric": "+metric=vif",
    "how it is computed": "+evaluation.metrics.ssim.unit=dB",
    "weights": "evaluation.weights=last",
    "no tiles": "evaluation.whole_pixels=null",
    "small tiles": "evaluation.tile=512",
    "overlap": "evaluation.overlap=64",
}
NOTHING = [
    "run_dir=elsewhere",
    "paths.runs=elsewhere",
    "paths.data=/data",
    "paths.stores=/stores",
    "dataset.store=off",
    "dataset.name=mine",
    "dataset.crop=99",  # of another budget
    "logger=csv",
    "logger=[wandb,tensorboard]",
    "logger.wandb.mode=online",
    "callbacks=none",
    "callbacks=[default,balance]",
    "callbacks.progress.refresh_rate=1",
    "data.workers=2",
    "threads=1",
    "trainer=ddp",
    "trainer.accelerator=cpu",
    "trainer.deterministic=true",
    "rerun=true",
    "checkpoint.minutes=1",
    "sweep.fail_fast=true",
    "budget.name=mine",
    "budget.log_every=1",
    "system.saturated_accuracy=0.8",
    "system.saturated_iterations=10",
    "evaluation.validation_metrics=[psnr]",
    "optimizer.fused=false",
    "optimizer.weight_decay=0",  # 0.0, Adam's default
    "optimizer.lr=0.0002",
    "+optimizer.amsgrad=false",
    "~generator.dropout",
    "~augment.extra",
    "discriminator.layers=5",
    "pretrain.first=['a=b']",
    "+a_key_of_my_own=1",
]


@cache
def composed_with(*groups: str) -> DictConfig:
    return load_config(groups)


@cache
def hashes(*overrides: str) -> tuple[str, str]:
    """Of training and evaluation."""
    folders = {o: CONF / o.lstrip("+").partition("=")[0] for o in overrides}
    groups = [o for o in overrides if folders[o].is_dir() or o[0] == "~"]
    config = composed_with(*groups).copy()
    for override in set(overrides) - set(groups):  # to compose it takes ten times as long
        key, _, value = override.lstrip("+").partition("=")
        OmegaConf.update(config, key, yaml.safe_load(value), force_add=True)
    return training_hash(config), evaluation_hash(config)


@pytest.mark.parametrize("override", SHAPES.values(), ids=SHAPES)
def test_what_shapes_the_weights_is_in_the_hash(override: str) -> None:
    assert hashes(override)[0] != hashes()[0]


def test_trainings_that_differ_have_hashes_that_differ() -> None:
    assert len({hashes(override)[0] for override in SHAPES.values()}) == len(SHAPES)


def test_how_a_sub_pixel_convolution_begins_is_in_the_hash() -> None:
    asked = "upsampler=subpixel"
    assert hashes(asked, "upsampler.init=normal")[0] != hashes(asked)[0]


@pytest.mark.parametrize("override", SCORES.values(), ids=SCORES)
def test_how_a_run_is_scored_is_another_evaluation_of_it(override: str) -> None:
    assert hashes(override)[0] == hashes()[0]
    assert hashes(override)[1] != hashes()[1]


@pytest.mark.slow
@pytest.mark.parametrize("override", NOTHING)
def test_where_and_how_a_run_is_watched_is_in_neither(override: str) -> None:
    assert hashes(override) == hashes()


@settings(max_examples=10, deadline=None)
@given(
    shape=st.sampled_from(sorted(SHAPES.values())),
    others=st.sets(st.sampled_from(sorted({*SCORES.values(), *NOTHING})), max_size=4),
)
def test_a_training_is_the_same_in_whatever_company(shape: str, others: set[str]) -> None:
    groups = {other.partition("=")[0].lstrip("+~").partition(".")[0] for other in others}
    assume(len(groups) == len(others))  # nothing is set twice
    assume(shape.lstrip("+").partition("=")[0].partition(".")[0] not in groups)
    assert hashes(shape, *sorted(others))[0] == hashes(shape)[0]


def test_tiles_count_only_where_validation_is_restored_in_tiles(composed: Compose) -> None:
    whole, cut = composed(), composed("evaluation.whole_pixels=100")
    assert training_hash(cut, tiled=True) != training_hash(whole)
    assert training_hash(cut, tiled=False) == training_hash(whole)


def test_a_reconstruction_is_another_run_with_the_same_evaluation(composed: Compose) -> None:
    copies, restores = composed("task=reconstruction", "loss=mse"), composed("loss=mse")
    assert training_hash(copies) != training_hash(restores)
    assert evaluation_hash(copies) == evaluation_hash(restores)


class Moved(UNet):
    """UNet with one more argument, as another version may have it."""

    def __init__(self, *args: Any, gain: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class MovedRain(BlendedRain):
    def __init__(self, *args: Any, wind: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


def test_a_new_argument_with_its_default_is_the_same_run(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = composed()
    known = training_hash(before), evaluation_hash(before)
    monkeypatch.setattr("ir_lightning.networks.generators.encoder_decoder.UNet", Moved)
    monkeypatch.setattr("ir_lightning.data.degradations.blended_rain.BlendedRain", MovedRain)
    assert (training_hash(before), evaluation_hash(before)) == known
    new = composed("+generator.gain=1", "+dataset.composition.wind=0.0")
    assert (training_hash(new), evaluation_hash(new)) == known
    assert training_hash(composed("+generator.gain=2.0")) != known[0]
    blown = composed("+dataset.composition.wind=1")
    assert training_hash(blown) != known[0]
    assert evaluation_hash(blown) != known[1]


@pytest.mark.parametrize("where", ["networks", "networks.generators.unet", "networks.else.where"])
def test_a_class_is_the_same_wherever_it_lies(composed: Compose, where: str) -> None:
    moved = composed(f"generator._target_=ir_lightning.{where}.UNet")
    assert training_hash(moved) == training_hash(composed())


def test_a_run_directory_has_the_hash_of_its_command(composed: Compose) -> None:
    """Also where the data have been moved meanwhile."""
    command = composed("dataset=rain800", "paths.data=/a")
    resolved: Any = OmegaConf.to_container(command, resolve=True)
    there = composed("dataset=rain800", "paths.data=/b/c/")
    assert training_hash(resolved) == training_hash(command) == training_hash(there)
    assert evaluation_hash(resolved) == evaluation_hash(command) == evaluation_hash(there)
    other = composed("dataset=rain800", "paths.data=/a", "dataset.root=/ab/rain800")
    assert training_hash(other) != training_hash(command)


PINNED = {
    "depth=5": "97670bc9d5",
    "method=pix2pix": "b44d393469",
    "method=unet5_infoaccum_subpixel": "a2f2346cc7",
    "dataset=all_in_one": "4668f9d343",
    "discriminator=multi_scale": "508ef5d4ff",
    "enhancer=dense": "13be5b7294",
}


@pytest.mark.parametrize("override", PINNED)
def test_the_hash_of_a_run_stays(override: str) -> None:
    """A default that has changed shows here. What it meant before needs to be said then, by the
    configuration or by a new VERSION: the runs on people's disks were trained with it."""
    assert hashes(override)[0] == PINNED[override]


BEFORE = {"finished": "74a01e6a4c", "regression": "f82c345352", "interrupted": "4bd3716e11"}


@pytest.mark.parametrize("name", BEFORE)
def test_the_hashes_of_a_run_of_earlier_days_stay(name: str) -> None:
    """Its data sets had other scenes and degradations than those of the same names today."""
    config = read_config(CONF.parent / "tests" / "golden" / "before" / name)
    assert training_hash(config) == BEFORE[name]
    assert evaluation_hash(config) == "0e75569e8b"
    assert BEFORE[name] not in PINNED.values()


@pytest.mark.slow
def test_the_hash_is_cheap() -> None:
    """And does not wait for Lightning."""
    code = (
        "import sys, time; from ir_lightning.launch.config import load_config;"
        "from ir_lightning.runs.identity import training_hash;"
        "config = load_config([]); training_hash(config); begin = time.process_time();"
        "training_hash(config); print(time.process_time() - begin);"
        "print('lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, lightning = done.stdout.split()
    assert float(seconds) < 0.1
    assert lightning == "False"


def test_the_name_says_the_overrides_in_any_order() -> None:
    assert name_of(["depth=3", "budget=smoke", "paths.runs=x"]) == "budget=smoke,depth=3"
    assert name_of(["budget=smoke", "depth=3"]) == name_of(["depth=3", "budget=smoke"])
    assert name_of(["depth=3", "evaluation.protocols=[y-matlab]"]) == "depth=3"
    assert name_of([]) == "default"
    assert "/" not in name_of(["dataset.train.root=/my/photos"])
    assert len(name_of([f"+key{i}=value" for i in range(100)])) < 200


def test_the_same_configuration_in_other_words_is_the_same_run(
    composed: Compose, tmp_path: Path
) -> None:
    config = composed()
    config_hash = training_hash(config)
    first = directory_of(config, [], config_hash)
    first.mkdir(parents=True)
    assert directory_of(config, ["depth=5"], config_hash) == first
    assert directory_of(composed(f"run_dir={tmp_path}/mine"), [], config_hash) == tmp_path / "mine"
