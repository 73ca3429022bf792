"""Metrics of torchmetrics score one image at a time, as they do when they are called by hand."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torchmetrics
from torch import Tensor
from torchmetrics.image import (
    MultiScaleStructuralSimilarityIndexMeasure,
    PeakSignalNoiseRatio,
    TotalVariation,
    VisualInformationFidelity,
)

from ir_lightning.errors import UsageError
from ir_lightning.metrics.protocols import PROTOCOLS, RGB8, Y_MATLAB, Protocol
from ir_lightning.metrics.scoring import Metric, score_images
from ir_lightning.metrics.torch_metric import LPIPS, WEIGHTS, TorchMetric, as_metric


def pair(height: int = 180, width: int = 190, batch: int = 1) -> tuple[Tensor, Tensor]:
    """Restored and clean, (B, 3, H, W) in [0, 1], smooth as photographs are."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch, 3, height // 8, width // 8, generator=random)
    clean = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    noise = torch.randn(clean.shape, generator=random)
    strength = torch.linspace(0.02, 0.1, batch)[:, None, None, None]
    return (clean + strength * noise).clamp(0, 1), clean


def shown(image: Tensor, protocol: Protocol) -> Tensor:
    return (protocol.show(image) / 255).float()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
@pytest.mark.parametrize(
    "metric",
    [MultiScaleStructuralSimilarityIndexMeasure(data_range=1.0), VisualInformationFidelity()],
    ids=lambda metric: type(metric).__name__,
)
def test_scores_are_those_of_torchmetrics(metric: torchmetrics.Metric, protocol: Protocol) -> None:
    restored, clean = pair(batch=2)
    scores = score_images(restored, clean, protocol, {"it": as_metric("it", metric)})["it"]
    assert scores.shape == (2,)
    assert scores[0].item() != scores[1].item()
    for index in range(2):
        metric.reset()
        metric.update(*(shown(image[index : index + 1], protocol) for image in (restored, clean)))
        assert scores[index].item() == pytest.approx(metric.compute().item(), rel=1e-6)


def test_vif_of_the_configuration_is_that_of_its_authors_grey_levels(composed: Any) -> None:
    from hydra.utils import instantiate

    node = composed("+metric=vif").evaluation.metrics.vif
    restored, clean = pair()
    score = score_images(restored, clean, RGB8, {"vif": as_metric("vif", instantiate(node))})
    levels = (RGB8.show(image).float() for image in (restored, clean))
    expected = VisualInformationFidelity(sigma_n_sq=2.0)(*levels)
    assert score["vif"].item() == pytest.approx(expected.item(), rel=1e-3)


def test_directions_are_those_of_torchmetrics() -> None:
    assert as_metric("vif", VisualInformationFidelity()).higher_is_better
    assert not as_metric("mse", torchmetrics.MeanSquaredError()).higher_is_better


def test_mixed_precision_and_gradients_stay_outside() -> None:
    restored, clean = pair()
    metrics = {"vif": as_metric("vif", VisualInformationFidelity())}
    expected = score_images(restored.bfloat16(), clean, RGB8, metrics)["vif"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        score = score_images(restored.bfloat16().requires_grad_(), clean, RGB8, metrics)["vif"]
    assert score.item() == expected.item()
    assert not score.requires_grad


def test_an_image_that_is_too_small_has_no_score() -> None:
    metric = as_metric("it", MultiScaleStructuralSimilarityIndexMeasure(data_range=1.0))
    restored, clean = pair(160, 200)
    with pytest.warns(UserWarning, match=r"not defined for an image of 200 x 160 pixels.*160"):
        scores = score_images(restored, clean, RGB8, {"it": metric})
    assert math.isnan(scores["it"].item())


def test_every_process_scores_its_own_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchmetrics.metric.jit_distributed_available", lambda: True)

    def gather(*_: Any, **__: Any) -> list[Tensor]:
        raise AssertionError("another process was asked")

    monkeypatch.setattr("torchmetrics.metric.gather_all_tensors", gather)
    metric = as_metric("vif", VisualInformationFidelity())
    assert math.isfinite(score_images(*pair(), RGB8, {"vif": metric})["vif"].item())


class Undirected(torchmetrics.MeanSquaredError):
    higher_is_better = None  # type: ignore[assignment]


def test_what_scores_no_pair_of_images_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"Undirected does not say .*TorchMetric"):
        as_metric("it", Undirected())
    assert TorchMetric(Undirected(), higher_is_better=False).higher_is_better is False
    with pytest.raises(UsageError, match="cannot score a restored image by its clean one"):
        as_metric("variation", TotalVariation())


def test_more_can_be_said_of_a_metric() -> None:
    metric = TorchMetric(PeakSignalNoiseRatio(data_range=1.0), unit="dB", colour=True)
    restored, clean = pair()
    assert metric.unit == "dB"
    assert score_images(restored, clean, Y_MATLAB, {"it": metric}) == {}
    assert score_images(restored, clean, RGB8, {"it": metric})["it"].item() > 10


def test_the_options_of_the_configuration(composed: Any) -> None:
    usual = ["psnr", "ssim", "undegraded_psnr"]
    assert list(composed().evaluation.metrics) == usual
    assert list(composed("+metric=vif").evaluation.metrics) == [*usual, "vif"]
    assert list(composed("+metric=[vif,ms_ssim]").evaluation.metrics) == [*usual, "vif", "ms_ssim"]
    only = composed("metric@evaluation.metrics=[psnr]").evaluation.metrics
    assert list(only) == ["psnr"]


def test_lpips_is_refused_in_words_where_its_weights_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"LPIPS needs the weights .*alexnet-owt-7be5be79\.pth"):
        LPIPS()
    with pytest.raises(UsageError, match="no network resnet: choose alex, vgg, squeeze"):
        LPIPS("resnet")


def test_lpips_reads_its_weights_and_leaves_the_random_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = pytest.importorskip("torchvision").models
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    known = (models.AlexNet_Weights, models.VGG16_Weights, models.SqueezeNet1_1_Weights)
    files = [weights.IMAGENET1K_V1.url.rpartition("/")[2] for weights in known]
    assert files == list(WEIGHTS.values())
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(models.alexnet().state_dict(), tmp_path / "hub" / "checkpoints" / WEIGHTS["alex"])
    state = torch.get_rng_state()
    metric: Metric = LPIPS()
    assert torch.equal(torch.get_rng_state(), state)
    restored, clean = pair(64, 64)
    assert not metric.higher_is_better
    assert score_images(restored, clean, RGB8, {"lpips": metric})["lpips"].item() > 0
    assert score_images(clean, clean, RGB8, {"lpips": metric})["lpips"].item() == 0
    assert score_images(restored, clean, Y_MATLAB, {"lpips": metric}) == {}
