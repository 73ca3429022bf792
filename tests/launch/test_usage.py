"""What a person can get wrong ends in one sentence, exit code 2, and no second of torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Runs train.py as a user would, then says whether torch was imported on the way.
PROGRAM = """
import runpy, sys
sys.argv = ["train.py", *sys.argv[1:]]
try:
    runpy.run_path("train.py", run_name="__main__")
finally:
    print("torch" in sys.modules)
"""


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generater=unet"], ["generater", "Did you mean 'generator'"]),
        (["budget.iteration=3"], ["budget.iteration", "Did you mean 'budget.iterations'"]),
        (["generator=resnet"], ["generator=resnet", "unet", "encoder_decoder"]),
        (["dataset=fog"], ["dataset=fog", "haze"]),
        (["depth=9"], ["depth=9", "1 to 8"]),
        (["depth=6", "budget.crop=48"], ["depth=6", "48", "budget.crop=64"]),
        (
            ["enhancer=infoaccum", "enhancer.positions=[1,6]"],
            ["positions", "6", "depth=5"],
        ),
        (["generator.norm=layer"], ["generator.norm", "layer", "instance"]),
        (["loss=l1", "discriminator=patchgan"], ["discriminator=none", "loss=lsgan"]),
        (["discriminator.layers=9"], ["discriminator.layers=9", "96"]),
        (["budget.crop=1000"], ["budget.crop", "1000"]),
        (["budget.iterations=0"], ["budget.iterations"]),
        (["budget.batch=0"], ["budget.batch"]),
        (["budget.batch=1.5"], ["budget.batch=1.5", "whole number"]),
        (["budget.crop=abc"], ["budget.crop=abc", "whole number"]),
        (["budget.test_images=0"], ["budget.test_images=0", "null"]),
        (["depth=abc"], ["depth=abc", "1 to 8"]),
        (["width=0"], ["width=0"]),
        (["seed=-1"], ["seed=-1"]),
        (["optimizer.lr=abc"], ["optimizer.lr=abc"]),
        (["evaluation.overlap=2000"], ["evaluation.overlap=2000", "evaluation.tile"]),
        (["evaluation.protocols=rgb8"], ["evaluation.protocols=rgb8", "list"]),
        (["enhancer=infoaccum", "enhancer.positions=[0]"], ["enhancer.positions=[0]"]),
        (["dataset=reside", "dataset.test_set=foo", "paths.data=/x"], ["foo", "indoor", "outdoor"]),
        (["evaluation.protocols=[rgb9]"], ["rgb9", "rgb8", "y-matlab"]),
        (["evaluation.weights=middle"], ["evaluation.weights", "best", "last"]),
        (["dataset=rain800"], ["paths.data"]),
        (["dataset=rain800", "paths.data=/nowhere"], ["/nowhere/rain800"]),
        (["dataset=pairs"], ["dataset.train_dir"]),
        (["depth=[1"], ["cannot be read", "[1"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_a_mistake_is_one_sentence(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    done = train(f"paths.runs={tmp_path}", *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout.split()[-1] == "False", "torch was imported for a usage error"
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is written for a request that cannot work"


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
    arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    done = train(f"paths.runs={tmp_path}", *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is written for a request that cannot work"
