"""ID-CGAN's discriminator is a PatchGAN whose every patch also knows its surroundings."""

from typing import Any

import pytest
import torch
from torch import nn

from ir_lightning.errors import UsageError
from ir_lightning.launch.preflight import check
from ir_lightning.networks.discriminators.patchgan import MultiScale, PatchGAN, Pyramid
from ir_lightning.networks.shapes import receptive_field, smallest_image
from tests.conftest import SMALL, Compose

LAYERS = range(2, 8)


@pytest.mark.parametrize("size", [(24, 24), (32, 47), (96, 64), (101, 256)])
@pytest.mark.parametrize("batch", [1, 2])
def test_there_are_as_many_logits_as_patches(batch: int, size: tuple[int, int]) -> None:
    image = torch.rand(batch, 3, *size)
    patches = PatchGAN(5, 2)(image, image)
    logits = MultiScale(5, 2)(image, image)
    assert logits.shape == patches.shape
    assert logits.shape[:2] == (batch, 1)


def test_it_costs_little_more_than_the_patchgan() -> None:
    def count(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    patches = 512 * 4 * 4 + 1  # the PatchGAN's last layer, instead of which there are
    features, levels, verdict = 512 * 4 * 4 * 64 + 64, 4 * (64 * 16 + 16), 64 + 4 * 16 + 1
    assert count(MultiScale()) == count(PatchGAN()) - patches + features + levels + verdict
    assert count(MultiScale()) == 3_288_257


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("layers", LAYERS)
def test_the_smallest_image_works_and_one_pixel_less_is_refused(layers: int, norm: str) -> None:
    edge = smallest_image(layers)
    discriminator = MultiScale(layers, 2, norm)
    image = torch.rand(1, 3, edge, edge + 5)
    logits = discriminator(image, image)
    assert logits.shape[:3] == (1, 1, 1)
    assert logits.isfinite().all()
    smaller = torch.rand(1, 3, edge + 5, edge - 1)
    with pytest.raises(
        UsageError, match=rf"layers={layers} needs .* {edge} pixels, but crop={edge - 1}"
    ):
        discriminator(smaller, smaller)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_every_parameter_learns_from_both_images(norm: str) -> None:
    torch.manual_seed(0)
    discriminator = MultiScale(4, 8, norm)
    degraded, image = torch.rand(2, 2, 3, 48, 40).unbind()
    degraded.requires_grad_()
    image.requires_grad_()
    discriminator(degraded, image).square().mean().backward()
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A bias in front of a norm is taken away by it.
        if name.endswith("weight") or norm == "none":
            assert parameter.grad.abs().sum() > 0, name
    for seen in (degraded, image):
        assert seen.grad is not None
        assert seen.grad.abs().sum(dim=1).min() > 0, "every pixel is judged"


def levels_of(discriminator: MultiScale) -> tuple[Pyramid, nn.Conv2d]:
    last: Any = discriminator.layers[-1]
    return last[2], last[3]


def extent(discriminator: nn.Module, size: int, position: int) -> tuple[int, int]:
    """First and last column that the logit at (position, position) depends on."""
    images = torch.rand(2, 1, 3, size, size, dtype=torch.double).requires_grad_()
    discriminator(images[0], images[1])[0, 0, position, position].backward()
    assert images.grad is not None
    (degraded, image) = images.grad.abs().sum(dim=(1, 2))
    for seen in (degraded, degraded.T, image, image.T):
        assert torch.equal(seen.sum(dim=0) > 0, image.sum(dim=0) > 0)
    columns = torch.nonzero(image.sum(dim=0)).flatten()
    assert len(columns) == columns[-1] - columns[0] + 1
    return int(columns[0]), int(columns[-1])


@pytest.mark.parametrize("position", [0, 7, 10, 17, 23])
def test_each_scale_sees_its_own_extent_and_no_more(position: int) -> None:
    scales, layers, cells = (1, 2, 3, 6), 3, 24
    size, field = 2 * (cells + 2), receptive_field(3)
    discriminator = MultiScale(layers, 8, "none", scales=scales).double()
    for parameter in discriminator.parameters():
        nn.init.constant_(parameter, 0.1)
    pyramid, verdict = levels_of(discriminator)

    def only(first: int, last: int) -> None:
        """Silence all but these channels in the verdict."""
        nn.init.zeros_(verdict.weight)
        nn.init.ones_(verdict.weight[:, first : last + 1])

    def pixels(first: int, last: int) -> tuple[int, int]:
        """From the first to the last feature in a row: each sees ``field`` pixels, 2 apart."""
        left = -(1 + 2 + 2)  # the paddings of the three convolutions, in pixels
        return max(0, 2 * first + left), min(size - 1, 2 * last + left + field - 1)

    with torch.no_grad():
        only(0, 7)
    assert extent(discriminator, size, position) == pixels(position, position)
    seen = []
    for index, scale in enumerate(scales):
        with torch.no_grad():
            only(8 + 2 * index, 9 + 2 * index)
        edge = cells // scale
        first = position // edge * edge
        seen.append(extent(discriminator, size, position))
        assert seen[-1] == pixels(first, first + edge - 1), scale
    assert seen[0] == (0, size - 1)
    widths = [last - first for first, last in seen]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 4
    assert len(pyramid.levels) == 4


def test_far_corners_weigh_in_where_a_patchgan_does_not_look() -> None:
    torch.manual_seed(0)
    near, far = torch.rand(2, 1, 3, 128, 128).unbind()
    far = torch.cat([near[..., :96], far[..., 96:]], dim=-1)
    patches, scales = PatchGAN(4, 8, "none"), MultiScale(4, 8, "none")
    assert torch.equal(patches(near, near)[..., :3], patches(far, far)[..., :3])
    assert not torch.equal(scales(near, near)[..., :3], scales(far, far)[..., :3])


def test_the_average_of_the_image_reaches_the_pooling() -> None:
    """A norm behind the last convolution would make every whole-image average the same."""
    torch.manual_seed(0)
    discriminator = MultiScale(3, 8)
    features: Any = discriminator.layers[-1][1]
    averages: list[torch.Tensor] = []
    features.register_forward_pre_hook(lambda _, seen: averages.append(seen[0].mean(dim=(2, 3))))
    image = torch.rand(2, 3, 32, 32)
    discriminator(image, image)
    assert averages[0].abs().mean() > 0.01
    assert (averages[0][0] - averages[0][1]).abs().mean() > 0.001


def test_a_grid_finer_than_the_map_repeats_it() -> None:
    torch.manual_seed(0)
    pyramid = Pyramid(4, [2, 6])
    features = torch.rand(1, 4, 2, 2)
    pooled = pyramid(features)
    assert torch.equal(pooled[:, :4], features)
    for index, level in enumerate(pyramid.levels):
        own = nn.functional.leaky_relu(level(features), 0.2)
        torch.testing.assert_close(pooled[:, 4 + 2 * index : 6 + 2 * index], own)


def test_levels_are_the_averages_of_their_cells() -> None:
    torch.manual_seed(0)
    pyramid = Pyramid(2, [1, 2])
    features = torch.randn(1, 2, 4, 6)
    pooled = pyramid(features)
    assert pooled.shape == (1, 4, 4, 6)
    assert pyramid.out_channels == 4
    whole, quarter = pyramid.levels
    mean = nn.functional.leaky_relu(whole(features.mean(dim=(2, 3), keepdim=True)), 0.2)
    torch.testing.assert_close(pooled[:, 2:3], mean.expand(1, 1, 4, 6))
    lower_right = features[..., 2:, 3:].mean(dim=(2, 3), keepdim=True)
    corner = nn.functional.leaky_relu(quarter(lower_right), 0.2)
    torch.testing.assert_close(pooled[:, 3:, 2:, 3:], corner.expand(1, 1, 2, 3))


def test_the_verdict_is_that_of_patches_and_levels_in_the_range_minus_one_to_one() -> None:
    torch.manual_seed(0)
    discriminator = MultiScale(2, 8, norm="none")
    degraded, image = torch.rand(2, 1, 3, 12, 12)
    first, _, (patches, _, pyramid, verdict) = discriminator.layers
    hidden = nn.functional.leaky_relu(first(torch.cat([degraded, image], 1) * 2 - 1), 0.2)
    features = nn.functional.leaky_relu(patches(hidden), 0.2)
    torch.testing.assert_close(discriminator(degraded, image), verdict(pyramid(features)))


def test_the_first_weights_are_those_of_pix2pix() -> None:
    torch.manual_seed(0)
    for layer in MultiScale(3, 64).modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.25)
            assert layer.bias is not None
            assert not layer.bias.any()


SCALES = ([], [0], [1, 1], [1.0], [True], ["2"], [[1]], 4, "12", None)


@pytest.mark.parametrize("scales", SCALES, ids=str)
def test_scales_that_cannot_be_are_said_in_words(scales: Any, composed: Compose) -> None:
    with pytest.raises(UsageError, match=r"^scales="):
        MultiScale(2, 1, scales=scales)
    config = composed(*SMALL, "discriminator=multi_scale")
    config.discriminator.scales = scales
    with pytest.raises(UsageError, match=r"^discriminator\.scales="):
        check(config)


def test_what_a_patchgan_refuses_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^layers="):
        MultiScale(1)
    with pytest.raises(UsageError, match=r"^norm="):
        MultiScale(norm="layer")
    with pytest.raises(UsageError, match=r"^width="):
        MultiScale(width=0)
