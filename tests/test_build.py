"""A stranger's configuration builds what networks and trainings are made of, and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ir_lightning.build import NETWORKS, TRAININGS, refuse_untrusted
from ir_lightning.errors import UsageError
from tests.conftest import CONF

TARGET = re.compile(r"^[^#\n]*?_target_: *([\w.]+)", re.MULTILINE)
NAMED = {t for path in CONF.rglob("*.yaml") for t in TARGET.findall(path.read_text("utf-8"))}
OURS = sorted(
    NAMED - {"ir_lightning.launch.SweepPlanner"}
)  # Hydra's own part is in no run directory


@pytest.mark.parametrize("target", OURS)
def test_every_part_of_this_package_is_allowed(target: str) -> None:
    assert TRAININGS.allows(target)


@pytest.mark.parametrize(
    "target",
    [
        "albumentations.Compose",
        "albumentations.ColorJitter",
        "kornia.augmentation.RandomHorizontalFlip",
        "kornia.losses.SSIMLoss",
        "lightning.pytorch.callbacks.LearningRateMonitor",
        "lightning.pytorch.loggers.CSVLogger",
        "lightning.pytorch.strategies.FSDPStrategy",
        "torch.nn.InstanceNorm2d",
        "torch.optim.AdamW",
        "torch.optim.lr_scheduler.CosineAnnealingLR",
        "torchmetrics.image.PeakSignalNoiseRatio",
    ],
)
def test_what_trainings_are_made_of_is_allowed(target: str) -> None:
    assert TRAININGS.allows(target)
    assert NETWORKS.allows(target) == target.startswith("torch.nn.")


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "functools.partial",
        "subprocess.Popen",
        "hydra.utils.instantiate",
        "ir_lightning.build.build",
        "ir_lightning.launch.run.run",
        "ir_lightning.data.UsageError",  # imported there, defined elsewhere
        "ir_lightning.data.image_files.read_image",  # a function
        "ir_lightning.runs.claim.Claim",
        "ir_lightning.training.Wandb",  # would send the W&B key where it is told
        "ir_lightning.training.loggers.wandb.warnings.warn",
        "ir_lightning.networks.generators.encoder_decoder.torch.load",
        "lightning.pytorch.cli.LightningCLI",  # builds what a string says
        "lightning.pytorch.loggers.WandbLogger",
        "lightning.pytorch.LightningModule",
        "kornia.core.external.LazyLoader",
        "kornia.core.external.onnxruntime.InferenceSession",
        "kornia.feature.LightGlue",
        "torch.load",
        "torch.hub.load",
        "torch.nn.init.normal_",
        "torch.nn.Module.register_forward_hook",
        "torch.optim.swa_utils.AveragedModel",
        "torchmetrics.multimodal.CLIPScore",
        "albumentations.from_dict",
        "torch.nn",
        "torch",
        "",
        ".torch.nn.Linear",
        "torch.nn.Linear\n",
        None,
        ["torch.nn.Linear"],
    ],
    ids=str,
)
def test_nothing_else_is_allowed(target: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert not TRAININGS.allows(target)
    with pytest.raises(UsageError, match=re.escape(f"file: refused to build {target}, which")):
        refuse_untrusted({"a": [{"b": {"_target_": target, "_partial_": True}}]}, "file", TRAININGS)
    assert capfd.readouterr() == ("", ""), "refusing is quiet, and asks nothing"


def test_a_module_of_a_stranger_is_not_even_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ir_lightning_networks"
    package.mkdir()
    for name in ("ir_lightning_networks/__init__.py", "evil.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\nclass Net: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    for target in ("evil.Net", "ir_lightning_networks.Net", "ir_lightning.networks.evil.Net"):
        assert not TRAININGS.allows(target)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "text",
    [
        "a: ${oc.env:HOME}",
        "a: [[{b: ['${x}']}]]",
        "a: {_recursive_: false}",
        "a: {_mode_: x}",
        "&a {b: *a}",
        "a: &a [1]\nb: *a",
    ],
)
def test_what_is_more_than_values_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="file: refused"):
        refuse_untrusted(yaml.safe_load(text), "file", TRAININGS)


def test_plain_values_pass() -> None:
    node = {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.ReLU"}]}
    values: list[Any] = [1, 1, None, True, "$HOME", "_x", {}, {}, [], []]
    refuse_untrusted({"net": node, "_convert_": "all", "values": values}, "file")


def test_a_thousand_levels_are_no_trouble() -> None:
    node: Any = {"_target_": "os.system"}
    for _ in range(100_000):
        node = [node]
    with pytest.raises(UsageError, match=r"os\.system"):
        refuse_untrusted(node, "file")
