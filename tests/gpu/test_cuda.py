"""What only a GPU can show: the numbers of a CPU, and the fast paths that are CUDA's own."""

import csv
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from ir_lightning.data.pair_maker import to_pixels
from ir_lightning.losses.adversarial import LeastSquares
from ir_lightning.losses.pixel import L1
from ir_lightning.networks.discriminators.patchgan import PatchGAN
from ir_lightning.networks.generators.encoder_decoder import UNet
from ir_lightning.systems.adversarial import AdversarialSystem
from ir_lightning.systems.evaluation import Evaluation
from ir_lightning.systems.optimization import ConstantThenLinear, Optimization
from tests.conftest import ROOT, SMALL, quiet_trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def train(runs: Path, *overrides: str) -> Path:
    """One run of train.py on the GPU; returns its directory."""
    command = [sys.executable, "train.py", *SMALL, f"paths.runs={runs}", *overrides]
    done = subprocess.run(
        [*command, "trainer.accelerator=gpu"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (path.parent for path in runs.glob("*/result.json"))
    return run_dir


def losses(path: Path, column: str = "train/generator") -> list[float]:
    """A column of a training curve."""
    with path.open(newline="", encoding="utf-8") as file:
        return [float(row[column]) for row in csv.DictReader(file) if row.get(column)]


def test_a_training_in_float64_is_that_of_a_cpu(tmp_path: Path) -> None:
    common = ("depth=3", "width=8", "budget.iterations=10", "budget.log_every=1", "threads=1")
    exact = ("trainer.precision=64-true",)
    gpu = train(tmp_path / "gpu", *common, *exact)
    command = [sys.executable, "train.py", *SMALL, *common, *exact, "trainer.accelerator=cpu"]
    subprocess.run([*command, f"paths.runs={tmp_path}/cpu"], cwd=ROOT, check=True)
    (cpu,) = (path.parent for path in (tmp_path / "cpu").glob("*/result.json"))
    assert losses(gpu / "metrics.csv") == pytest.approx(losses(cpu / "metrics.csv"), rel=1e-6)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_trains(precision: str, tmp_path: Path) -> None:
    run_dir = train(
        tmp_path, "depth=4", "width=16", "budget.iterations=20", f"trainer.precision={precision}"
    )
    curve = losses(run_dir / "metrics.csv")
    assert all(value == value and value < 1e4 for value in curve)


def test_fused_adam_steps_as_plain_adam_does() -> None:
    torch.manual_seed(0)
    plain = UNet(depth=3, width=8).cuda()
    fused = UNet(depth=3, width=8).cuda()
    fused.load_state_dict(plain.state_dict())
    image = torch.rand(2, 3, 64, 64, device="cuda")
    for network, kind in ((plain, False), (fused, True)):
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=kind)
        for _ in range(5):
            optimizer.zero_grad()
            (network(image) - image).square().mean().backward()
            optimizer.step()
    for one, other in zip(plain.parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_channels_last_restores_the_same_image() -> None:
    torch.manual_seed(0)
    generator = UNet(depth=5, width=16).cuda().eval()
    image = torch.rand(1, 3, 256, 256, device="cuda")
    with torch.inference_mode():
        before = generator(image)
        after = generator.to(memory_format=torch.channels_last)(
            image.to(memory_format=torch.channels_last)
        )
    difference = to_pixels(before[0]).astype(int) - to_pixels(after[0]).astype(int)
    assert abs(difference).max() <= 1


def test_a_step_waits_for_nothing_of_the_host() -> None:
    """A synchronisation inside the training step would let the GPU idle."""
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, lr=2e-4, fused=True)
    system = AdversarialSystem(
        UNet(depth=3, width=8),
        PatchGAN(layers=3, width=8),
        {"adversarial": LeastSquares(), "l1": L1(100.0)},
        Optimization(adam, ConstantThenLinear(1.0), 1000, 1000),
        Evaluation(["rgb8"]),
    )
    pair = {kind: torch.rand(1, 3, 64, 64) for kind in ("degraded", "clean")}

    class Strict(torch.utils.data.Dataset[dict[str, object]]):
        def __len__(self) -> int:
            return 12

        def __getitem__(self, index: int) -> dict[str, object]:
            return {"name": str(index), **{kind: image[0] for kind, image in pair.items()}}

    step = system.training_step

    def watched(batch: dict[str, object], index: int) -> None:
        torch.cuda.set_sync_debug_mode("error" if index >= 4 else "default")
        try:
            step(batch, index)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    system.training_step = watched  # type: ignore[method-assign]
    images = torch.utils.data.DataLoader(Strict(), batch_size=1)
    quiet_trainer(accelerator="gpu", devices=1).fit(system, images)
    assert system.iteration == 12


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_take_the_steps_of_one(tmp_path: Path) -> None:
    common = ("depth=3", "budget.batch=2", "budget.iterations=5", "budget.log_every=1")
    exact = ("trainer.precision=64-true", "norm=instance")
    one = train(tmp_path / "one", *common, *exact)
    two = train(tmp_path / "two", *common, *exact, "trainer=ddp", "trainer.devices=2")
    assert losses(one / "metrics.csv") == pytest.approx(losses(two / "metrics.csv"), rel=1e-9)
