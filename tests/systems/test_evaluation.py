"""Evaluation: whole images where they fit, tiles where they do not, every image by name."""

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ir_lightning.errors import RunError, UsageError
from ir_lightning.losses.pixel import L1
from ir_lightning.metrics.protocols import RGB8, Y_MATLAB
from ir_lightning.metrics.scoring import Metric
from ir_lightning.metrics.similarity import PSNR, SSIM, UndegradedPSNR
from ir_lightning.systems.evaluation import Evaluation
from ir_lightning.systems.optimization import ConstantThenLinear, Optimization
from ir_lightning.systems.restoration import RegressionSystem
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
    evaluation = Evaluation(["rgb8", "y-matlab"], whole_pixels=whole_pixels, tile=32, overlap=8)
    return RegressionSystem(Local(), {"l1": L1()}, how, evaluation)


def images() -> DataLoader[dict[str, object]]:
    random = torch.Generator().manual_seed(1)
    batches = [
        {
            "name": [f"image {height}"],
            "scene": [f"scene {height}"],
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
    rows = judged.test_rows
    assert [row["image"] for row in rows] == ["image 20", "image 70"]
    assert [row["scene"] for row in rows] == ["scene 20", "scene 70"]
    for row, batch in zip(rows, images(), strict=True):
        restored = judged.generator(batch["degraded"])
        expected = {}
        for name, protocol in (("rgb8", RGB8), ("y-matlab", Y_MATLAB)):
            for kind, image in (("degraded", batch["degraded"]), ("restored", restored)):
                planes = protocol.show(image), protocol.show(batch["clean"])
                expected[name, kind, "psnr"] = PSNR()(*planes).item()
                expected[name, kind, "ssim"] = SSIM()(*planes).item()
        levels = (RGB8.show(image) for image in (restored, batch["clean"], batch["degraded"]))
        expected["rgb8", "restored", "undegraded_psnr"] = UndegradedPSNR()(*levels).item()
        assert row["scores"] == pytest.approx(expected, abs=0, nan_ok=True)


def test_large_images_are_restored_in_tiles_to_the_same_scores() -> None:
    whole, tiled = judge(system(None)), judge(system(20 * 50))
    assert (whole.tiled_images, tiled.tiled_images) == (0, 1)
    assert whole.generator.largest == 70 * 50
    assert tiled.generator.largest <= max(20 * 50, 32 * 32)
    for a, b in zip(whole.test_rows, tiled.test_rows, strict=True):
        psnr = (row["scores"]["rgb8", "restored", "psnr"] for row in (a, b))
        assert next(psnr) == pytest.approx(next(psnr), abs=0.01)


class Brightness(Metric):
    """A metric of somebody's own, of which less is better."""

    unit = "lm"
    higher_is_better = False

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        return restored.mean(dim=(1, 2, 3))


class Colours(Brightness):
    colour = True


METRICS = {"psnr": PSNR(), "ssim": SSIM(), "brightness": Brightness()}


def test_any_metric_may_choose_the_best_weights_by_its_direction() -> None:
    evaluation = Evaluation(["rgb8"], METRICS, choose_by="brightness")
    assert evaluation.better(1.0, than=2.0)
    assert not evaluation.better(2.0, than=2.0)
    assert Evaluation(["rgb8"], METRICS).better(2.0, than=1.0)
    (batch, _) = images()
    scores = evaluation.validate(batch["degraded"], batch["clean"])
    levels = RGB8.show(batch["degraded"])
    assert list(scores) == ["psnr", "ssim", "brightness"]
    assert scores["brightness"] == levels.mean().item()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"choose_by": "vif"}, r"choose_by=vif.*psnr, ssim, brightness.*\+metric=vif"),
        ({"validation_metrics": ["vif"]}, r"validation_metrics=vif.*\+metric=vif"),
        (
            {"metrics": METRICS | {"kept": UndegradedPSNR()}, "choose_by": "kept"},
            "choose_by=kept does not score validation images",
        ),
        ({"metrics": METRICS | {"mine": 3}}, "metrics.mine is a int and no metric"),
        ({"protocols": "rgb8"}, r"protocols=rgb8: give a list"),
        ({"protocols": []}, r"give a list"),
        ({"protocols": ["rgb9"]}, "rgb8, y-matlab"),
        ({"validation_protocol": "rgb9"}, "rgb8, y-matlab"),
        (
            {
                "metrics": {"mine": Colours()},
                "choose_by": "mine",
                "validation_metrics": [],
                "protocols": ["y-matlab"],
            },
            "no metric of this run scores images by y-matlab",
        ),
        (
            {
                "metrics": METRICS | {"mine": Colours()},
                "choose_by": "mine",
                "validation_protocol": "y-matlab",
            },
            "choose_by=mine does not score validation images by y-matlab",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Evaluation(**{"protocols": ["rgb8"], "metrics": METRICS, **given})


def test_validation_has_a_protocol_of_its_own() -> None:
    (batch, _) = images()
    evaluation = Evaluation(["rgb8"], METRICS, validation_protocol="y-matlab")
    planes = (Y_MATLAB.show(batch[kind]) for kind in ("degraded", "clean"))
    scores = evaluation.validate(batch["degraded"], batch["clean"])
    assert scores["psnr"] == PSNR()(*planes).item()


def test_images_are_ranked_by_a_metric_that_their_protocol_has() -> None:
    metrics = METRICS | {"mine": Colours()}
    assert Evaluation(["rgb8"], metrics, "mine").main_metric == "mine"
    assert Evaluation(["y-matlab"], metrics, "mine").main_metric == "psnr"


class Nowhere(Metric):
    """Not defined for any image."""

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        return torch.full((len(clean),), torch.nan)


def test_a_metric_that_is_not_defined_chooses_nothing() -> None:
    judged = system(None)
    judged.evaluation = Evaluation(["rgb8"], METRICS | {"nowhere": Nowhere()}, "nowhere")
    with pytest.raises(RunError, match="choose_by=nowhere is not defined"):
        quiet_trainer().validate(judged, images(), verbose=False)
