"""A planted checkerboard of amplitude a scores a; what is no checkerboard scores nothing."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch import Tensor

from ir_lightning.metrics.checkerboard import Checkerboard
from ir_lightning.metrics.protocols import RGB8, Y_MATLAB
from ir_lightning.metrics.scoring import score_images
from ir_lightning.networks.generators.encoder_decoder import UNet
from ir_lightning.networks.upsamplers import SubPixel

SIZES = [(3, 3), (4, 4), (3, 8), (32, 32), (31, 45), (64, 33)]
PATTERNS = {"rows": (1, 0), "columns": (0, 1), "squares": (1, 1)}


def grid(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    rows, columns = torch.meshgrid(*(torch.arange(n).double() for n in size), indexing="ij")
    return rows, columns


def waves(size: tuple[int, int], name: str) -> Tensor:
    """(H, W) of 1 and -1."""
    rows, columns = grid(size)
    down, across = PATTERNS[name]
    return 1 - 2 * ((down * rows + across * columns) % 2)


def textured(size: tuple[int, int], images: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return 40 + 150 * torch.rand(images, 3, *size, generator=random, dtype=torch.float64)


def score(restored: Tensor, clean: Tensor) -> float:
    return Checkerboard()(restored, clean).item()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("amplitude", [0.3, 7.0, -7.0])
def test_a_planted_pattern_scores_its_amplitude(
    size: tuple[int, int], name: str, amplitude: float
) -> None:
    clean = textured(size)
    restored = clean + amplitude * waves(size, name)
    assert score(restored, clean) == pytest.approx(abs(amplitude), abs=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_patterns_and_planes_add_their_squares(size: tuple[int, int]) -> None:
    clean = textured(size)
    a, b, c = 2.0, 3.0, 6.0
    three = a * waves(size, "rows") + b * waves(size, "columns") + c * waves(size, "squares")
    assert score(clean + three, clean) == pytest.approx(7.0)
    green = torch.tensor([0.0, 1.0, 0.0])[:, None, None]
    assert score(clean + green * three, clean) == pytest.approx(7.0 / math.sqrt(3))


def test_it_is_the_deviation_between_the_means_of_four_phases() -> None:
    clean = textured((16, 20))
    restored = clean.clone()
    levels = [1.0, -4.0, 2.5, 9.0]
    for (row, column), level in zip(np.ndindex(2, 2), levels, strict=True):
        restored[..., row::2, column::2] += level
    assert score(restored, clean) == pytest.approx(float(np.std(levels)))


@pytest.mark.parametrize("size", SIZES)
def test_what_is_smooth_is_no_pattern(size: tuple[int, int]) -> None:
    clean = textured(size)
    rows, columns = grid(size)
    for change in (rows * 0, rows * 0 + 9, rows * 2, columns * -3, rows + columns * rows / 5):
        assert score(clean + change, clean) == pytest.approx(0, abs=1e-9)


def test_what_has_no_fixed_phase_averages_out() -> None:
    clean = textured((256, 256))
    random = torch.Generator().manual_seed(1)
    noise = [
        score(clean + 10 * torch.randn(clean.shape, generator=random, dtype=torch.float64), clean)
        for _ in range(20)
    ]
    mean_square = float(np.mean(np.square(noise)))
    assert mean_square == pytest.approx(100 * 3 / 256**2, rel=0.35)  # of 180 amplitudes


def test_a_pattern_of_the_scene_itself_does_not_count() -> None:
    clean = textured((32, 32)) + 20 * waves((32, 32), "squares")
    assert score(clean, clean) == 0
    assert score(clean - 20 * waves((32, 32), "squares"), clean) == pytest.approx(20)


def by_filters(error: np.ndarray) -> float:
    """The same amplitude another way: filter a plane, take the signs away, average."""
    low, high = np.array([1.0, 2.0, 1.0]) / 4, np.array([-1.0, 2.0, -1.0]) / 4
    squares = 0.0
    for down, across in PATTERNS.values():
        kernel = np.outer(high if down else low, high if across else low)
        filtered = convolve2d(error, kernel, mode="valid")
        rows, columns = np.indices(filtered.shape)
        squares += (filtered * (-1.0) ** (down * rows + across * columns)).mean() ** 2
    return squares


@pytest.mark.parametrize("size", [(3, 3), (17, 24), (40, 31)])
def test_it_is_a_filtered_plane_without_its_signs(size: tuple[int, int]) -> None:
    restored, clean = textured(size, 2).flip(0), textured(size, 2)
    expected = [
        math.sqrt(np.mean([by_filters(plane) for plane in image]))
        for image in (restored - clean).numpy()
    ]
    np.testing.assert_allclose(Checkerboard()(restored, clean).numpy(), expected, rtol=1e-9)


def test_an_image_without_a_grid_has_no_score() -> None:
    assert math.isnan(score(textured((2, 9)), textured((2, 9))))


def test_protocols_show_it_grey_levels() -> None:
    clean = textured((32, 32)).round() / 255
    restored = clean + 6 / 255 * waves((32, 32), "squares")
    metrics = {"checkerboard": Checkerboard()}
    assert score_images(restored, clean, RGB8, metrics)["checkerboard"].item() == pytest.approx(6)
    luma = score_images(restored, clean, Y_MATLAB, metrics)["checkerboard"].item()
    assert luma == pytest.approx(6 * 219 / 255, rel=1e-4)  # black is 16 there, white 235
    broken = torch.full_like(clean, torch.nan)
    assert score_images(broken, clean, RGB8, metrics)["checkerboard"].item() == torch.inf


def test_it_tells_up_samplers_apart_before_they_have_learned() -> None:
    """Sub-kernels that are equal, and those that are not, make of a smooth image."""
    assert not Checkerboard().higher_is_better
    rows, columns = grid((64, 64))
    scene = (rows / 200 + columns / 100).expand(1, 3, 64, 64)
    torch.manual_seed(0)
    first = {
        init: score(UNet(5, 16, upsampler=SubPixel(init=init)).double()(scene) * 255, scene * 255)
        for init in ("icnr", "normal")
    }
    assert first["icnr"] < 0.5
    assert first["normal"] > 2
