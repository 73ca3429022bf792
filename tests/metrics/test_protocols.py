"""Scores agree with scikit-image, image by image, whatever the batch, precision or size."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from kornia.metrics import ssim as kornia_ssim
from skimage import data
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torchmetrics.functional.image import peak_signal_noise_ratio as peak_signal_to_noise

from ir_lightning.errors import UsageError
from ir_lightning.metrics.protocols import PROTOCOLS, RGB8, Y_MATLAB, Protocol, protocol_named
from ir_lightning.metrics.scoring import score_images
from ir_lightning.metrics.similarity import PSNR, SSIM


class Scores(NamedTuple):
    """(B,) each."""

    psnr: Tensor
    ssim: Tensor


def score(protocol: Protocol, restored: Tensor, clean: Tensor) -> Scores:
    metrics = {"psnr": PSNR(), "ssim": SSIM()}
    return Scores(**score_images(restored, clean, protocol, metrics))


def reference(restored: Tensor, clean: Tensor, protocol: str) -> tuple[float, float]:
    """scikit-image on the 8-bit arrays of one pair (3, H, W)."""
    x, y = (
        (image.double().clamp(0, 1) * 255).round().permute(1, 2, 0).byte().numpy()
        for image in (restored, clean)
    )
    if protocol == "y-matlab":
        x, y = (rgb2ycbcr(image)[..., :1] for image in (x, y))
    similarity = structural_similarity(
        x,
        y,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1,
    )
    return peak_signal_noise_ratio(y, x, data_range=255), similarity


def noisy(clean: Tensor, strength: float, seed: int = 0) -> Tensor:
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return clean + strength * noise


def photograph(name: str, height: int, width: int) -> Tensor:
    image = np.array(getattr(data, name)()[40 : 40 + height, 60 : 60 + width])
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def random_image(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
@pytest.mark.parametrize(
    ("clean", "strength"),
    [
        (photograph("astronaut", 200, 150), 0.1),
        (photograph("coffee", 97, 211), 0.02),
        (photograph("chelsea", 120, 120), 0.5),
        (random_image(64, 80), 0.2),
        (torch.full((1, 3, 30, 30), 0.8), 0.003),  # flat: where float32 would lose the variance
    ],
)
def test_scores_agree_with_scikit_image(protocol: Protocol, clean: Tensor, strength: float) -> None:
    restored = noisy(clean, strength)
    scores = score(protocol, restored, clean)
    psnr, ssim = reference(restored[0], clean[0], protocol.name)
    assert scores.psnr.tolist() == pytest.approx([psnr], abs=1e-6)
    assert scores.ssim.tolist() == pytest.approx([ssim], abs=1e-6)


@pytest.mark.parametrize("height", [11, 12, 31, 32, 33, 41, 42, 43, 74, 75, 106])
def test_every_height_is_scored_whole(height: int) -> None:
    clean = random_image(height, 13)
    restored = clean.clone()
    restored[..., -1, :] = noisy(clean, 0.3)[..., -1, :]  # the error stands in the last row alone
    scores = score(RGB8, restored, clean)
    psnr, ssim = reference(restored[0], clean[0], "rgb8")
    assert scores.psnr.item() == pytest.approx(psnr, abs=1e-9)
    assert scores.ssim.item() == pytest.approx(ssim, abs=1e-9)


def test_the_ssim_of_kornia_on_the_valid_region() -> None:
    clean = (photograph("astronaut", 60, 50) * 255).double()
    restored = (noisy(clean / 255, 0.1).clamp(0, 1) * 255).round()
    expected = kornia_ssim(restored, clean, 11, max_val=255.0, eps=0.0, padding="valid").mean()
    assert score(RGB8, restored / 255, clean / 255).ssim.item() == pytest.approx(expected.item())


def test_the_psnr_of_torchmetrics() -> None:
    random = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 1, 3, 24, 30, generator=random)
    levels = [image.mul(255).round().double() for image in (first, second)]
    expected = peak_signal_to_noise(levels[0], levels[1], data_range=255.0)
    assert score(RGB8, first, second).psnr.item() == pytest.approx(float(expected))


def test_psnr_in_closed_form() -> None:
    clean = torch.zeros(3, 3, 16, 16)
    restored = torch.stack([clean[0] + step / 255 for step in (1, 5, 255)])
    expected = [20 * math.log10(255 / step) for step in (1, 5, 255)]
    assert score(RGB8, restored, clean).psnr.tolist() == pytest.approx(expected)
    # Studio range: black is 16, white 235, so the same greys lie closer together.
    expected = [20 * math.log10(255 / (step * 219 / 255)) for step in (1, 5, 255)]
    assert score(Y_MATLAB, restored, clean).psnr.tolist() == pytest.approx(expected)


def test_luma_weighs_the_colours_by_bt601() -> None:
    black = torch.zeros(1, 3, 16, 16)
    for channel, weight in enumerate((65.481, 128.553, 24.966)):
        colour = black.clone()
        colour[:, channel] = 1.0
        psnr = score(Y_MATLAB, colour, black).psnr.item()
        assert psnr == pytest.approx(20 * math.log10(255 / weight))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_identical_images_are_infinitely_good(protocol: Protocol) -> None:
    clean = random_image(40, 20)
    scores = score(protocol, clean, clean)
    assert scores.psnr.tolist() == [math.inf]
    assert scores.ssim.tolist() == [1.0]


def test_an_image_scores_the_same_in_any_batch() -> None:
    clean = random_image(50, 37, batch=5)
    restored = torch.cat([noisy(image[None], 0.05 * i, i) for i, image in enumerate(clean)])
    together = score(RGB8, restored, clean)
    assert together.psnr.shape == together.ssim.shape == (5,)
    for index in range(5):
        alone = score(RGB8, restored[index : index + 1], clean[index : index + 1])
        assert alone.psnr.item() == together.psnr[index].item()
        assert alone.ssim.item() == together.ssim[index].item()


def test_images_are_scored_as_they_would_be_saved() -> None:
    clean = torch.full((1, 3, 16, 16), 100 / 255)
    assert score(RGB8, clean + 0.4 / 255, clean).psnr.item() == math.inf
    assert score(RGB8, clean + 0.6 / 255, clean).psnr.item() == pytest.approx(20 * math.log10(255))
    white = torch.ones(1, 3, 16, 16)
    assert score(RGB8, white * 7, white).psnr.item() == math.inf
    assert score(RGB8, -white, 0 * white).psnr.item() == math.inf


def test_mixed_precision_changes_no_score() -> None:
    clean = photograph("astronaut", 50, 50)
    restored = noisy(clean, 0.01).bfloat16()  # what a network under autocast returns
    expected = score(RGB8, restored.double(), clean)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for protocol in PROTOCOLS:
            assert score(protocol, restored, clean).psnr.dtype == torch.float64
        scores = score(RGB8, restored, clean)
    assert scores.psnr.item() == expected.psnr.item()
    assert scores.ssim.item() == expected.ssim.item()


def test_scoring_needs_no_gradient() -> None:
    clean = random_image(16, 16)
    assert not score(RGB8, clean.clone().requires_grad_(), clean).psnr.requires_grad


def test_scoring_leaves_the_threads_as_they_were() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        score(RGB8, random_image(16, 16), random_image(16, 16))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest new tensor had."""

    largest = 0

    def __torch_dispatch__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and not result._is_view():
            self.largest = max(self.largest, result.numel())
        return result


def test_large_images_are_scored_in_pieces() -> None:
    clean = RGB8.show(random_image(1000, 12))
    restored = RGB8.show(noisy(clean / 255, 0.1))
    for metric in (PSNR(), SSIM()):
        with Largest() as watch:
            metric(restored, clean)
        assert 0 < watch.largest < 5 * 3 * 12 * 50  # five maps of a band


def test_a_small_image_has_a_psnr() -> None:
    clean = random_image(5, 9)
    scores = score_images(noisy(clean, 0.1), clean, RGB8, {"psnr": PSNR()})
    assert scores["psnr"].item() == pytest.approx(reference_psnr(noisy(clean, 0.1), clean))


def reference_psnr(restored: Tensor, clean: Tensor) -> float:
    x, y = (image.clamp(0, 1).mul(255).round().numpy() for image in (restored, clean))
    return float(peak_signal_noise_ratio(y, x, data_range=255))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_broken_restoration_gets_the_worst_score(broken: float) -> None:
    clean = random_image(16, 16, batch=2)
    restored = noisy(clean, 0.1)
    restored[0, 0, 0, 0] = broken
    scores = score(RGB8, restored, clean)
    assert scores.psnr[0].item() == scores.ssim[0].item() == -math.inf
    assert math.isfinite(scores.psnr[1].item())


@pytest.mark.parametrize(
    ("restored", "clean", "words"),
    [
        ((1, 3, 10, 40), (1, 3, 10, 40), r"11 x 11 pixels, not 40 x 10"),
        ((1, 3, 40, 10), (1, 3, 40, 10), r"11 x 11 pixels, not 10 x 40"),
        ((1, 3, 20, 20), (1, 3, 20, 21), r"\(1, 3, 20, 20\) against \(1, 3, 20, 21\)"),
        ((2, 3, 20, 20), (1, 3, 20, 20), "one size"),
        ((1, 1, 20, 20), (1, 1, 20, 20), "one size"),
        ((3, 20, 20), (3, 20, 20), "one size"),
    ],
)
def test_what_cannot_be_scored(
    restored: tuple[int, ...], clean: tuple[int, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        score(RGB8, torch.zeros(restored), torch.zeros(clean))


def test_protocols_go_by_name() -> None:
    assert protocol_named("rgb8") is RGB8
    assert protocol_named("y-matlab") is Y_MATLAB
    with pytest.raises(UsageError, match=r"'rgb'.*rgb8, y-matlab"):
        protocol_named("rgb")
