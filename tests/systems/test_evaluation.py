"""Evaluation: whole images where they fit, tiles where they do not, every image by name."""

import functools

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ir_lightning.losses.pixel import L1
from ir_lightning.metrics.protocols import RGB8, Y_MATLAB
from ir_lightning.systems.evaluation import Evaluation
from ir_lightning.systems.optimization import ConstantThenLinear, Optimization
from ir_lightning.systems.regression import RegressionSystem
from tests.conftest import quiet_trainer


class Local(nn.Module):
    """A generator that looks one pixel far, and remembers the largest image it was given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 3, 3, padding=1)
        self.largest = 0

    def forward(self, degraded: Tensor) -> Tensor:
        self.largest = max(self.largest, degraded.shape[-1] * degraded.shape[-2])
        return torch.sigmoid(self.layer(degraded))


def system(whole_pixels: int | None) -> RegressionSystem:
    adam = functools.partial(torch.optim.Adam, lr=1e-3)
    how = Optimization(adam, ConstantThenLinear(), 1, 1)
    evaluation = Evaluation(["rgb8", "y-matlab"], "best", whole_pixels, 32, 8)
    return RegressionSystem(Local(), {"l1": L1()}, how, evaluation)


def images() -> DataLoader[dict[str, object]]:
    random = torch.Generator().manual_seed(1)
    batches = [
        {
            "name": [f"image {height}"],
            "degraded": torch.rand(1, 3, height, 50, generator=random),
            "clean": torch.rand(1, 3, height, 50, generator=random),
        }
        for height in (20, 70)
    ]
    return DataLoader(batches, batch_size=None)


def judge(judged: RegressionSystem) -> RegressionSystem:
    quiet_trainer().test(judged, images(), verbose=False)
    return judged


def test_rows_hold_every_protocol_before_and_after() -> None:
    judged = judge(system(None))
    assert [row["name"] for row in judged.test_rows] == ["image 20", "image 70"]
    for row, batch in zip(judged.test_rows, images(), strict=True):
        restored = judged.generator(batch["degraded"])
        for prefix, protocol in (("", RGB8), ("y-matlab:", Y_MATLAB)):
            for kind, image in (("degraded", batch["degraded"]), ("restored", restored)):
                scores = protocol.score(image, batch["clean"])
                assert row[f"{prefix}{kind}_psnr"] == scores.psnr.item()
                assert row[f"{prefix}{kind}_ssim"] == scores.ssim.item()


def test_large_images_are_restored_in_tiles_to_the_same_scores() -> None:
    whole, tiled = judge(system(None)), judge(system(20 * 50))
    assert (whole.tiled_images, tiled.tiled_images) == (0, 1)
    assert whole.generator.largest == 70 * 50
    assert tiled.generator.largest <= max(20 * 50, 32 * 32)
    for a, b in zip(whole.test_rows, tiled.test_rows, strict=True):
        assert abs(a["restored_psnr"] - b["restored_psnr"]) < 0.01
