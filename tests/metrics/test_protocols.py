"""Scores agree with scikit-image, image by image, whatever the batch, precision or size."""

import math

import numpy as np
import pytest
import torch
from kornia.metrics import ssim as kornia_ssim
from skimage import data
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio as peak_signal_to_noise

from ir_lightning.errors import UsageError
from ir_lightning.metrics.protocols import PROTOCOLS, RGB8, Y_MATLAB, Protocol, protocol_named


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
    scores = protocol.score(restored, clean)
    psnr, ssim = reference(restored[0], clean[0], protocol.name)
    assert scores.psnr.tolist() == pytest.approx([psnr], abs=1e-6)
    assert scores.ssim.tolist() == pytest.approx([ssim], abs=1e-6)


@pytest.mark.parametrize("height", [11, 12, 31, 32, 33, 41, 42, 43, 74, 75, 106])
def test_every_height_is_scored_whole(height: int) -> None:
    clean = random_image(height, 13)
    restored = clean.clone()
    restored[..., -1, :] = noisy(clean, 0.3)[..., -1, :]  # the error stands in the last row alone
    scores = RGB8.score(restored, clean)
    psnr, ssim = reference(restored[0], clean[0], "rgb8")
    assert scores.psnr.item() == pytest.approx(psnr, abs=1e-9)
    assert scores.ssim.item() == pytest.approx(ssim, abs=1e-9)


def test_the_ssim_of_kornia_on_the_valid_region() -> None:
    clean = (photograph("astronaut", 60, 50) * 255).double()
    restored = (noisy(clean / 255, 0.1).clamp(0, 1) * 255).round()
    expected = kornia_ssim(restored, clean, 11, max_val=255.0, eps=0.0, padding="valid").mean()
    assert RGB8.score(restored / 255, clean / 255).ssim.item() == pytest.approx(expected.item())


def test_the_psnr_of_torchmetrics() -> None:
    random = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 1, 3, 24, 30, generator=random)
    levels = [image.mul(255).round().double() for image in (first, second)]
    expected = peak_signal_to_noise(levels[0], levels[1], data_range=255.0)
    assert RGB8.score(first, second).psnr.item() == pytest.approx(float(expected))


def test_psnr_in_closed_form() -> None:
    clean = torch.zeros(3, 3, 16, 16)
    restored = torch.stack([clean[0] + step / 255 for step in (1, 5, 255)])
    expected = [20 * math.log10(255 / step) for step in (1, 5, 255)]
    assert RGB8.score(restored, clean).psnr.tolist() == pytest.approx(expected)
    # Studio range: black is 16, white 235, so the same greys lie closer together.
    expected = [20 * math.log10(255 / (step * 219 / 255)) for step in (1, 5, 255)]
    assert Y_MATLAB.score(restored, clean).psnr.tolist() == pytest.approx(expected)


def test_luma_weighs_the_colours_by_bt601() -> None:
    black = torch.zeros(1, 3, 16, 16)
    for channel, weight in enumerate((65.481, 128.553, 24.966)):
        colour = black.clone()
        colour[:, channel] = 1.0
        psnr = Y_MATLAB.score(colour, black).psnr.item()
        assert psnr == pytest.approx(20 * math.log10(255 / weight))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_identical_images_are_infinitely_good(protocol: Protocol) -> None:
    clean = random_image(40, 20)
    scores = protocol.score(clean, clean)
    assert scores.psnr.tolist() == [math.inf]
    assert scores.ssim.tolist() == [1.0]


def test_an_image_scores_the_same_in_any_batch() -> None:
    clean = random_image(50, 37, batch=5)
    restored = torch.cat([noisy(image[None], 0.05 * i, i) for i, image in enumerate(clean)])
    together = RGB8.score(restored, clean)
    assert together.psnr.shape == together.ssim.shape == (5,)
    for index in range(5):
        alone = RGB8.score(restored[index : index + 1], clean[index : index + 1])
        assert alone.psnr.item() == together.psnr[index].item()
        assert alone.ssim.item() == together.ssim[index].item()


def test_images_are_scored_as_they_would_be_saved() -> None:
    clean = torch.full((1, 3, 16, 16), 100 / 255)
    assert RGB8.score(clean + 0.4 / 255, clean).psnr.item() == math.inf
    assert RGB8.score(clean + 0.6 / 255, clean).psnr.item() == pytest.approx(20 * math.log10(255))
    white = torch.ones(1, 3, 16, 16)
    assert RGB8.score(white * 7, white).psnr.item() == math.inf
    assert RGB8.score(-white, 0 * white).psnr.item() == math.inf


def test_mixed_precision_changes_no_score() -> None:
    clean = photograph("astronaut", 50, 50)
    restored = noisy(clean, 0.01).bfloat16()  # what a network under autocast returns
    expected = RGB8.score(restored.double(), clean)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for protocol in PROTOCOLS:
            assert protocol.score(restored, clean).psnr.dtype == torch.float64
        scores = RGB8.score(restored, clean)
    assert scores.psnr.item() == expected.psnr.item()
    assert scores.ssim.item() == expected.ssim.item()


def test_scoring_needs_no_gradient() -> None:
    clean = random_image(16, 16)
    assert not RGB8.score(clean.clone().requires_grad_(), clean).psnr.requires_grad


def test_scoring_leaves_the_threads_as_they_were() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        RGB8.score(random_image(16, 16), random_image(16, 16))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_large_images_are_scored_in_pieces() -> None:
    pieces: list[int] = []

    def watched(image: Tensor) -> Tensor:
        pieces.append(image.shape[-2])
        return image

    clean = random_image(1000, 12)
    restored = noisy(clean, 0.1)
    assert Protocol("watched", watched).score(restored, clean) == RGB8.score(restored, clean)
    assert max(pieces) < 100


def test_a_broken_restoration_is_not_called_good() -> None:
    clean = random_image(16, 16)
    restored = clean.clone()
    restored[0, 0, 0, 0] = math.nan
    assert math.isnan(RGB8.score(restored, clean).psnr.item())


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
        RGB8.score(torch.zeros(restored), torch.zeros(clean))


def test_protocols_go_by_name() -> None:
    assert protocol_named("rgb8") is RGB8
    assert protocol_named("y-matlab") is Y_MATLAB
    with pytest.raises(UsageError, match=r"'rgb'.*rgb8, y-matlab"):
        protocol_named("rgb")
