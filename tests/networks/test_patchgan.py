"""The discriminator is pix2pix's PatchGAN, and its sizes are known without building it."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from ir_lightning.errors import UsageError
from ir_lightning.networks.discriminators.patchgan import MultiScale, PatchGAN
from ir_lightning.networks.layers import NORMS
from ir_lightning.networks.shapes import receptive_field, smallest_image

LAYERS = range(2, 8)


def test_five_layers_are_pix2pix_70x70() -> None:
    discriminator = PatchGAN()
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [c.stride[0] for c in convolutions] == [2, 2, 2, 1, 1]
    assert [c.out_channels for c in convolutions] == [64, 128, 256, 512, 1]
    assert receptive_field(5) == 70
    assert discriminator(torch.rand(1, 3, 256, 256), torch.rand(1, 3, 256, 256)).shape == (
        1,
        1,
        30,
        30,
    )
    # pix2pix prints 2.769 M: with batch norm and without biases in front of it.
    published, biases = 2_768_705, 128 + 256 + 512
    batch = PatchGAN(norm="batch")
    assert sum(p.numel() for p in batch.parameters()) == published + biases


@pytest.mark.parametrize("layers", LAYERS)
def test_a_logit_sees_its_receptive_field_and_no_more(layers: int) -> None:
    edge = receptive_field(layers)
    discriminator = PatchGAN(layers, 1, norm="none").double()
    for parameter in discriminator.parameters():
        nn.init.constant_(parameter, 0.1)
    size = 2 * edge + 2 ** (layers - 1)
    images = torch.rand(2, 1, 3, size, size, dtype=torch.double).requires_grad_()
    logits = discriminator(images[0], images[1])
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert images.grad is not None
    for gradient in images.grad.abs().sum(dim=(1, 2)):
        assert int((gradient.sum(dim=0) > 0).sum()) == edge
        assert int((gradient.sum(dim=1) > 0).sum()) == edge


@pytest.mark.parametrize("kind", [PatchGAN, MultiScale])
@pytest.mark.parametrize("norm", NORMS)
def test_it_is_independent_if_an_image_is_judged_by_itself(kind: type[PatchGAN], norm: str) -> None:
    torch.manual_seed(0)
    discriminator = kind(width=4, norm=norm).double()
    pairs = torch.rand(3, 2, 1, 3, 64, 64, dtype=torch.double)
    together = discriminator(pairs[:, 0, 0], pairs[:, 1, 0])
    alone = torch.cat([discriminator(*pair) for pair in pairs])
    assert torch.allclose(together, alone, rtol=0, atol=1e-12) is discriminator.independent


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("layers", LAYERS)
def test_the_smallest_image_works_and_one_pixel_less_is_refused(layers: int, norm: str) -> None:
    edge = smallest_image(layers)
    discriminator = PatchGAN(layers, 2, norm)
    image = torch.rand(1, 3, edge, edge + 5)
    logits = discriminator(image, image)
    assert logits.shape[:3] == (1, 1, 1)
    assert logits.isfinite().all()
    raw = nn.Sequential(*[m for m in discriminator.modules() if isinstance(m, nn.Conv2d)])
    with pytest.raises(RuntimeError):  # the network itself cannot, it is not only forbidden
        raw(torch.rand(1, 6, edge - 1, edge + 5))
    smaller = torch.rand(1, 3, edge + 5, edge - 1)
    with pytest.raises(
        UsageError, match=rf"layers={layers} needs .* {edge} pixels, but crop={edge - 1}"
    ):
        discriminator(smaller, smaller)


def test_it_judges_the_image_by_what_was_degraded() -> None:
    torch.manual_seed(0)
    discriminator = PatchGAN(3, 4)
    degraded, image = torch.rand(2, 2, 3, 32, 32)
    logits = discriminator(degraded, image)
    assert not discriminator(torch.rand_like(degraded), image).equal(logits)
    assert not discriminator(degraded, torch.rand_like(image)).equal(logits)


def test_the_convolutions_see_the_range_minus_one_to_one() -> None:
    torch.manual_seed(0)
    discriminator = PatchGAN(2, 4, norm="none")
    degraded, image = torch.rand(2, 1, 3, 8, 8)
    first, _, last = discriminator.layers
    hidden = nn.functional.leaky_relu(first(torch.cat([degraded, image], 1) * 2 - 1), 0.2)
    torch.testing.assert_close(discriminator(degraded, image), last(hidden))


def test_a_training_step_changes_every_layer() -> None:
    torch.manual_seed(0)
    discriminator = PatchGAN(4, 4)
    image = torch.rand(1, 3, 32, 32)
    discriminator(image, image).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in discriminator.parameters())


def test_what_cannot_be_built_is_said_in_words() -> None:
    for layers in (1, 0, -3):
        with pytest.raises(UsageError, match=r"^layers="):
            PatchGAN(layers)
        with pytest.raises(UsageError, match=r"^layers="):
            smallest_image(layers)
    with pytest.raises(UsageError, match=r"^norm="):
        PatchGAN(norm="layer")
    with pytest.raises(UsageError, match=r"^width="):
        PatchGAN(width=0)


def test_geometry_needs_no_torch() -> None:
    code = "import ir_lightning.networks.shapes, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
