"""What only a GPU can show: the numbers of a CPU, and the fast paths that are CUDA's own."""

import csv
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities import move_data_to_device

from ir_lightning.build import build
from ir_lightning.data.pair_maker import to_pixels
from ir_lightning.launch.preflight import resolve
from ir_lightning.launch.run import run
from ir_lightning.losses.adversarial import LeastSquares
from ir_lightning.losses.pixel import L1
from ir_lightning.networks.discriminators.patchgan import PatchGAN
from ir_lightning.networks.generators.encoder_decoder import UNet
from ir_lightning.runs.record import read_result
from ir_lightning.systems.adversarial import AdversarialSystem
from ir_lightning.systems.evaluation import Evaluation
from ir_lightning.systems.optimization import ConstantThenLinear, Optimization
from tests.conftest import ROOT, SMALL, Compose, quiet_trainer
from tests.test_golden import COMMON, GOLDEN, TRACES, rows_of, trace_of

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
    exact = ("trainer.precision=64-true", "speed=exact")
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
    # In float64: Adam makes steps of rounding errors where a gradient is zero.
    torch.manual_seed(0)
    plain = UNet(depth=3, width=8).double().cuda()
    fused = UNet(depth=3, width=8).double().cuda()
    fused.load_state_dict(plain.state_dict())
    image = torch.rand(2, 3, 64, 64, device="cuda", dtype=torch.float64)
    for network, kind in ((plain, False), (fused, True)):
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=kind)
        for _ in range(5):
            optimizer.zero_grad()
            (network(image) - image).square().mean().backward()
            optimizer.step()
    for one, other in zip(plain.parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


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
    exact = ("trainer.precision=64-true", "norm=instance", "speed=exact")
    one = train(tmp_path / "one", *common, *exact)
    two = train(tmp_path / "two", *common, *exact, "trainer=ddp", "trainer.devices=2")
    assert losses(one / "metrics.csv") == pytest.approx(losses(two / "metrics.csv"), rel=1e-9)


# In this process, which has CUDA already.


def finished(config: object, overrides: list[str]) -> Path:
    """The directory of a run that has been trained."""
    run(config, overrides)  # type: ignore[arg-type]
    runs = Path(config.paths.runs)  # type: ignore[attr-defined]
    (run_dir,) = (path.parent for path in runs.glob("*/result.json"))
    return run_dir


ON_GPU = ("trainer.accelerator=gpu", "budget.iterations=20", "budget.log_every=1", "width=8")


@pytest.mark.parametrize(
    "name", ["method-pix2pix", "method-unet5_infoaccum_subpixel", "dataset-heavy_rain"]
)
def test_golden_traces_of_a_cpu(name: str, composed: Compose) -> None:
    overrides = [*TRACES[name], *COMMON, "trainer.accelerator=gpu", "speed=exact"]
    now = trace_of(finished(composed(*overrides), overrides))
    for row, expected in zip(now, rows_of(GOLDEN / "traces" / f"{name}.csv"), strict=True):
        for key, value in expected.items():
            if value:
                told = f"{key} at iteration {expected['iteration']}"
                assert float(row[key]) == pytest.approx(float(value), rel=1e-5), told


@pytest.mark.parametrize(
    "method",
    [
        "pix2pix",
        "pix2pix_dropout",
        "pix2pix_lsgan",
        "unet5",
        "unet5_infoaccum",
        "unet5_infoaccum_subpixel",
    ],
)
def test_every_method_is_recorded(method: str, composed: Compose) -> None:
    config = composed(*SMALL, *ON_GPU, f"method={method}", "speed=fast")
    run_dir = finished(config, [])
    record = read_result(run_dir)
    assert record["speed"] == "fast"
    assert record.get("not_recorded") is None
    assert all(value == value and value < 1e4 for value in losses(run_dir / "metrics.csv"))


@pytest.mark.parametrize(
    "network", [("depth=4",), ("depth=6", "generator.dropout=0.5")], ids=["plain", "dropout"]
)
def test_a_recorded_training_is_the_training(
    network: tuple[str, ...], composed: Compose, tmp_path: Path
) -> None:
    """With dropout, too: a recording draws what the operations one by one would have drawn."""
    same = ("speed.precision=32-true", "speed.reproducible=true", "speed.channels_last=false")
    usual = (*SMALL, *ON_GPU, *network, "dataset=rain")
    fast = ("speed=fast", *same, "speed.degrade_on_gpu=false", f"paths.runs={tmp_path}/fast")
    recorded = finished(composed(*usual, *fast), [])
    exact = finished(composed(*usual, "speed=exact", f"paths.runs={tmp_path}/exact"), [])
    for column in ("train/generator", "train/discriminator", "train/l1"):
        ours, theirs = (losses(each / "metrics.csv", column) for each in (recorded, exact))
        assert ours == pytest.approx(theirs, rel=1e-3)
    assert ours[:5] == pytest.approx(theirs[:5], rel=1e-5)


def test_fast_learns_what_exact_learns(composed: Compose, tmp_path: Path) -> None:
    """A few iterations cannot show a PSNR; that they go the same way, they can."""
    usual = (*SMALL, *ON_GPU, "depth=4", "budget.iterations=60")
    ends = []
    for speed in ("fast", "exact"):
        config = composed(*usual, f"speed={speed}", f"paths.runs={tmp_path}/{speed}")
        ends.append(losses(finished(config, []) / "metrics.csv", "train/l1")[-20:])
    fast, exact = (sum(end) / len(end) for end in ends)
    assert fast == pytest.approx(exact, rel=0.05)


def test_exact_has_the_same_digits_each_time(composed: Compose, tmp_path: Path) -> None:
    curves = []
    for place in ("one", "other"):
        usual = (*SMALL, *ON_GPU, "method=unet5_infoaccum_subpixel", "speed=exact")
        run_dir = finished(composed(*usual, f"paths.runs={tmp_path}/{place}"), [])
        curves.append(losses(run_dir / "metrics.csv"))
    assert curves[0] == curves[1]


@pytest.mark.parametrize(
    "dataset", ["noise", "haze", "rain", "rain_density", "rain_haze", "heavy_rain"]
)
def test_images_are_degraded_there_as_on_a_cpu(dataset: str, composed: Compose) -> None:
    """Sums in another order may round an 8-bit value to its neighbour."""
    config = composed(*SMALL, f"dataset={dataset}", "budget.batch=2", "budget.crop=64")
    data = build(resolve(config)["data"], "data")
    (expected, *_) = list(data.train_dataloader())
    data.training_pairs.complete = False

    def there() -> torch.Tensor:
        (begun, *_) = list(data.train_dataloader())
        there = move_data_to_device(begun, torch.device("cuda"))
        degraded: torch.Tensor = data.complete(there)["degraded"]
        return degraded

    one, other = there(), there()
    assert torch.equal(one, other)
    difference = (one.cpu() - expected["degraded"]).abs()
    assert difference.max() <= 1.01 / 255
    assert (difference > 0).float().mean() < 0.01
