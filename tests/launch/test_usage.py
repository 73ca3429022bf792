"""What a person can get wrong ends in one sentence and exit code 2, before anything is written.

A typo is answered without torch, a wrong value without lightning.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from ir_lightning.errors import UsageError
from ir_lightning.launch.app import ErrorReporter
from ir_lightning.launch.config import USAGE
from ir_lightning.launch.preflight import check
from ir_lightning.launch.run import run
from tests.conftest import ROOT, SMALL, Compose
from tests.helpers.commands import Ended, train

# Runs train.py as a user would, then names the libraries that were imported on the way.
PROGRAM = """
import runpy, sys
sys.argv = ["train.py", *sys.argv[1:]]
try:
    runpy.run_path("train.py", run_name="__main__")
finally:
    print([name for name in ("torch", "lightning", "kornia") if name in sys.modules])
"""


def train_apart(*arguments: str) -> Ended:
    """``train.py`` in a process that has imported nothing."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    return Ended(done.returncode, done.stdout, done.stderr)


def assert_refused(done: Ended, words: list[str], folder: Path) -> None:
    """A command has ended in a sentence with these words, and nothing is in the folder."""
    assert done.code == 2, done.err
    assert done.err.startswith("error: ")
    assert len(done.err.strip().splitlines()) == 1
    for word in words:
        assert word in done.err
    assert list(folder.iterdir()) == [], "nothing is written for a request that cannot work"


def imported(done: Ended) -> list[str]:
    last = done.out.splitlines()[-1]
    return [name for name in ("torch", "lightning", "kornia") if name in last]


def refuse(tmp_path: Path, arguments: list[str], words: list[str]) -> list[str]:
    """Check that a command ends in a sentence with these words; returns what it imported."""
    done = train_apart(f"paths.runs={tmp_path}", *arguments)
    assert_refused(done, words, tmp_path)
    return imported(done)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generater=unet"], ["generater", "Did you mean 'generator'"]),
        (["budget.iteration=3"], ["budget.iteration", "Did you mean 'budget.iterations'"]),
        (["generator=resnet"], ["generator=resnet", "unet", "encoder_decoder"]),
        (["dataset=fog"], ["dataset=fog", "haze"]),
        (["loss=l1", "discriminator=patchgan"], ["discriminator=none", "loss=lsgan"]),
        (["dataset=reside", "dataset.test_set=foo", "paths.data=/x"], ["foo", "indoor", "outdoor"]),
        (["dataset=rain800"], ["paths.data"]),
        (["dataset=pairs"], ["dataset.train_dir"]),
        (["depth=[1"], ["cannot be read", "[1"]),
        (["checkpoint.minutes=-1"], ["checkpoint.minutes=-1", "at least 0"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_a_typo_is_answered_without_torch(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    assert refuse(tmp_path, arguments, words) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generator.depth=8", "budget.crop=64"], ["generator.depth=8", "budget.crop=256"]),
        (["dataset=noise", "enhancer=infoaccum", "optimizer.lr=-1"], ["optimizer (lr=-1"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_a_wrong_value_is_answered_without_lightning(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    assert refuse(tmp_path, arguments, words) == ["torch"]


@pytest.mark.slow
def test_what_only_lightning_can_judge_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    wrong = ["system.saturated_accuracy=2"]
    assert "lightning" in refuse(tmp_path, wrong, ["system.saturated_accuracy=2", "from 0 to 1"])


@pytest.mark.slow
def test_a_finished_run_is_shown_again_without_lightning(composed: Compose, tmp_path: Path) -> None:
    asked = [*SMALL, "depth=2", "budget.test_images=1"]
    run(composed(*asked), asked)
    done = train_apart(f"paths.runs={tmp_path}/runs", *asked)
    assert done.code == 0, done.err
    assert "Finished already" in done.out
    assert "lightning" not in imported(done)


BOTH_WAYS = [
    ("{}depth=9", ["{}depth=9", "1 to 8"]),
    ("{}depth=0", ["{}depth=0", "1 to 8"]),
    ("{}depth=abc", ["{}depth=abc", "1 to 8"]),
    ("{}depth=null", ["{}depth=null", "1 to 8"]),
    ("{}depth=6 budget.crop=48", ["{}depth=6", "budget.crop=48", "budget.crop=64"]),
    ("{}depth=3 enhancer=infoaccum enhancer.positions=[4]", ["positions=[4]", "4 at {}depth=3"]),
    ("{}width=0", ["{}width=0", "at least 1"]),
    ("{}width=1.5", ["{}width=1.5", "whole number"]),
    ("{}norm=layer", ["{}norm=layer", "instance", "batch", "none"]),
    (
        "{}norm=batch trainer=ddp trainer.accelerator=cpu trainer.devices=2",
        ["{}norm=batch", "{}norm=instance"],
    ),
]


@pytest.mark.parametrize("way", ["", "generator."])
@pytest.mark.parametrize(("arguments", "words"), BOTH_WAYS, ids=[a for a, _ in BOTH_WAYS])
def test_whichever_way_a_value_came_what_is_built_is_judged(
    way: str, arguments: str, words: list[str], composed: Compose
) -> None:
    refused = sentence(composed, *SMALL, *arguments.format(way).split())
    for word in words:
        assert word.format(way) in refused
    if way == "":
        assert "generator." not in refused


def test_a_value_that_is_overridden_where_it_is_used_is_not_judged_by_its_alias(
    composed: Compose,
) -> None:
    check(composed(*SMALL, "depth=99", "generator.depth=2"))
    check(composed(*SMALL, "width=0", "generator.width=4", "discriminator.width=4"))


def sentence(composed: Compose, *overrides: str) -> str:
    """What the preflight says, in one line."""
    with pytest.raises(UsageError) as refused:
        check(composed(*overrides))
    text = str(refused.value)
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("enhancer=infoaccum enhancer.positions=[1,6]", ["enhancer.positions=[1, 6]", "depth=5"]),
        ("enhancer=infoaccum enhancer.positions=[0]", ["enhancer.positions=[0]"]),
        ("enhancer=infoaccum enhancer.layers=-1", ["enhancer.layers=-1"]),
        ("upsampler.levels=bottom", ["upsampler.levels=bottom", "top or all"]),
        ("generator.norm=layer", ["generator.norm", "layer", "instance"]),
        ("discriminator.layers=9 budget.crop=96", ["discriminator.layers=9", "budget.crop=96"]),
        ("discriminator=multi_scale discriminator.scales=[1,1]", ["discriminator.scales=[1, 1]"]),
        ("loss=gan_then_lsgan loss.adversarial.at=2", ["loss.adversarial.at=2", "0 to 1"]),
        ("loss.l1.weight=null", ["loss.l1.weight=null"]),
        ("schedule.constant=2", ["schedule.constant=2", "0 to 1"]),
        ("optimizer.lr=abc", ["optimizer", "lr=abc"]),
        ("optimizer.betas=[0.5,2]", ["optimizer", "betas=[0.5, 2]"]),
        ("+optimizer.speed=3", ["optimizer", "speed=3"]),
        ("optimization.gradient_clip=-1", ["optimization.gradient_clip=-1"]),
        ("budget.crop=1000", ["budget.crop=1000", "larger"]),
        ("augment.crop=1000", ["augment.crop=1000", "larger"]),
        ("budget.crop=abc", ["budget.crop=abc", "whole number"]),
        ("budget.iterations=0", ["budget.iterations=0"]),
        ("budget.iterations=null", ["budget.iterations", "budget.epochs"]),
        ("budget.iterations=null budget.epochs=-1", ["budget.epochs=-1"]),
        ("budget.batch=0", ["budget.batch=0"]),
        ("budget.iterations=null budget.epochs=1 budget.batch=0", ["budget.batch=0"]),
        ("budget.batch=1.5", ["budget.batch=1.5", "whole number"]),
        ("budget.test_images=0", ["budget.test_images=0", "null"]),
        ("budget.evaluation_side=10", ["budget.evaluation_side=10", "11"]),
        ("budget.checkpoint_every=0", ["budget.checkpoint_every=0"]),
        ("data.workers=-1", ["data.workers=-1"]),
        ("seed=-1", ["seed=-1"]),
        ("threads=0", ["threads=0"]),
        ("task.input=rainy", ["task.input=rainy", "degraded or clean"]),
        ("dataset.small_images=stretch", ["dataset.small_images=stretch", "pad"]),
        ("dataset.composition.streaks.angle=100", ["dataset.composition.streaks.angle=100"]),
        ("dataset.validation.built_in.sources.leaves.count=0", ["leaves.count=0"]),
        ("data.evaluation_order=names", ["data.evaluation_order=names", "scenes"]),
        ("dataset=all_in_one dataset.weights.haze=0", ["dataset.weights.haze=0"]),
        ("evaluation.tile=0", ["evaluation.tile=0"]),
        ("evaluation.overlap=2000", ["evaluation.overlap=2000", "evaluation.tile=1024"]),
        ("evaluation.weights=middle", ["evaluation.weights=middle", "best", "last"]),
        ("evaluation.protocols=rgb8", ["evaluation.protocols=rgb8", "list"]),
        ("evaluation.protocols=[rgb9]", ["rgb9", "rgb8", "y-matlab"]),
        ("dataset=rain800 paths.data=/nowhere", ["/nowhere/rain800"]),
        ("trainer.devices=2", ["trainer.devices=2", "trainer=ddp"]),
    ],
)
def test_a_mistake_is_one_sentence(arguments: str, words: list[str], composed: Compose) -> None:
    refused = sentence(composed, *SMALL, *arguments.split())
    for word in words:
        assert word in refused


def test_a_refusal_is_exit_code_2(composed: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    reporter = ErrorReporter()
    with reporter.catch():
        check(composed(*SMALL, "depth=9"))
    assert reporter.code == USAGE
    assert capsys.readouterr().err == "error: depth=9: give a whole number from 1 to 8.\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["metric=vif"], ["metric", "+metric="]),
        (["+metric=[vif,beauty]"], ["metric=beauty", "conf/metric/"]),
        (["evaluation.choose_by=vif"], ["choose_by=vif", "psnr, ssim", "+metric=vif"]),
        (["evaluation.choose_by=undegraded_psnr"], ["choose_by=undegraded_psnr", "validation"]),
        (["metric@evaluation.metrics=[psnr]"], ["validation_metrics=ssim"]),
        (["+metric=lpips"], ["LPIPS needs the weights", "alexnet"]),
        (
            ["+evaluation.metrics.it={_target_: torchmetrics.image.TotalVariation}"],
            ["TotalVariation cannot score"],
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_a_metric_that_cannot_score_is_refused_before_the_training(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    done = train(f"paths.runs={tmp_path}", *arguments, TORCH_HOME=f"{tmp_path}/torch")
    assert_refused(done, words, tmp_path)
