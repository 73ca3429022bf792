"""Every option of every group composes, builds and trains for a step; globbing finds them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ir_lightning.launch.run import run
from tests.conftest import CONF, SMALL, Compose

pytestmark = pytest.mark.slow

OPTIONS = sorted(
    f"{path.parent.name}={path.stem}"
    for path in CONF.glob("*/*.yaml")
    if path.parent.name not in ("hydra", "scenes")
)
BENCHMARKS = sorted(
    path.stem
    for path in CONF.glob("dataset/*.yaml")
    if "root: ${paths.data}" in path.read_text(encoding="utf-8")
)
# What an option needs beside itself to be tried in a second.
COMPANY = {
    "enhancer=infoaccum": ["enhancer.layers=2"],
    "enhancer=dense": ["enhancer.layers=2"],
    "enhancer=residual": ["enhancer.blocks=2"],
    "enhancer=residual_matched": ["enhancer.blocks=1", "enhancer.width=8"],
    "enhancer=context_dilated": ["enhancer.blocks=1", "enhancer.width=8"],
    "enhancer=context_dilated_matched": ["enhancer.blocks=1", "enhancer.width=8"],
    "enhancer=scan_matched": ["enhancer.width=8"],
    "enhancer=recursive_matched": ["enhancer.width=8"],
    "enhancer=attention": ["enhancer.steps=2", "enhancer.width=8"],
    "enhancer=attention_matched": ["enhancer.steps=2", "enhancer.width=8"],
    "method=unet5_infoaccum": ["enhancer.layers=2"],
    "method=unet5_infoaccum_subpixel": ["enhancer.layers=2"],
    "budget=cpu": ["width=8", "budget.iterations=1", "budget.test_images=1"],
    "budget=paper": [
        "width=8",
        "budget.iterations=1",
        "budget.epochs=null",
        "budget.test_images=1",
    ],
    "metric=ms_ssim": ["budget.evaluation_side=null"],
    "trainer=ddp": ["trainer.accelerator=cpu", "trainer.devices=1"],
    "dataset=pairs": ["dataset.train_dir={data}/own/train", "dataset.test_dir={data}/own/test"],
    "dataset=pairs_side_by_side": [
        "dataset.train_dir={data}/rain800/training",
        "dataset.test_dir={data}/rain800/test_syn",
        "dataset.left=clean",
    ],
    **{f"dataset={name}": ["paths.data={miniatures}"] for name in BENCHMARKS},
}


@pytest.fixture
def no_group_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``trainer=ddp`` forms a group of this process, which would hold its port for all tests."""
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


# LPIPS needs weights that nobody downloads for a test; its refusal is tested in test_usage.py.
@pytest.mark.usefixtures("no_group_is_left")
@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "metric=lpips"])
def test_every_option_trains(
    option: str, composed: Compose, benchmarks: Path, miniatures: Path
) -> None:
    group = option.split("=")[0]
    small = [entry for entry in SMALL if not entry.startswith(f"{group}=")]
    company = [
        entry.format(data=benchmarks, miniatures=miniatures) for entry in COMPANY.get(option, [])
    ]
    if group == "metric":  # further ones stand beside those of the defaults
        option = f"+{option}"
    asked = [*small, "budget.test_images=1", option, *company]
    result = run(composed(*asked), asked)
    assert result["status"] == "finished"
    assert result["iterations"] in (1, 2)
    assert result["restored"]["psnr"] > 3


@pytest.mark.parametrize("method", sorted(path.stem for path in CONF.glob("method/*.yaml")))
def test_every_method_reconstructs_without_a_discriminator(method: str, composed: Compose) -> None:
    config = composed(f"method={method}", "task=reconstruction")
    assert list(config.loss) == ["mse"]
    assert config.discriminator is None
    assert config.system._target_.endswith("RegressionSystem")
    assert "adversarial" in composed(f"method={method}").loss
