"""Costs are the closed forms, and counting them touches nothing."""

import pytest
import torch
from torch import nn

from ir_lightning.networks.enhancers.infoaccum import Dense, InfoAccum
from ir_lightning.networks.generators.encoder_decoder import EncoderDecoder, UNet
from ir_lightning.networks.meta import Cost, count
from ir_lightning.networks.upsamplers import SubPixel


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), Cost(3 * 8 * 9 + 8, 20 * 30 * 3 * 8 * 9)),
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), Cost(3 * 8 * 9, 20 * 30 * 3 * 8 * 9)),
        (nn.Conv2d(3, 8, 3, padding=5, dilation=5), Cost(3 * 8 * 9 + 8, 20 * 30 * 3 * 8 * 9)),
        (nn.Conv2d(3, 8, 4, 2, 1), Cost(3 * 8 * 16 + 8, 10 * 15 * 3 * 8 * 16)),
        (nn.Conv2d(3, 6, 3, padding=1, groups=3), Cost(6 * 9 + 6, 20 * 30 * 6 * 9)),
        (nn.ConvTranspose2d(3, 8, 4, 2, 1), Cost(3 * 8 * 16 + 8, 20 * 30 * 3 * 8 * 16)),
        (nn.Sequential(nn.Flatten(), nn.Linear(1800, 7)), Cost(1800 * 7 + 7, 1800 * 7)),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Upsample(scale_factor=2)), Cost(6, 0)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_layer_costs_its_closed_form(layer: nn.Module, expected: Cost) -> None:
    assert count(layer, (20, 30)) == expected


def test_the_first_layers_of_unet_5() -> None:
    unet = UNet(5)
    first, second = (nn.Sequential(*unet.encoder[:layers]) for layers in (1, 2))
    at_the_top = 128 * 128 * 16 * 3 * 64
    assert count(first).multiply_adds == at_the_top
    assert count(second).multiply_adds == at_the_top + 64 * 64 * 16 * 64 * 128


def test_the_whole_unet_5() -> None:
    widths = [3, 64, 128, 256, 512, 512]
    down = [(256 >> k) ** 2 * 16 * widths[k - 1] * widths[k] for k in range(1, 6)]
    up = [(256 >> k) ** 2 * 16 * (2 - (k == 5)) * widths[k] * widths[k - 1] for k in range(1, 6)]
    assert count(UNet(5)) == Cost(16_657_795, sum(down) + sum(up))


@pytest.mark.parametrize("kind", [InfoAccum, Dense])
def test_infoaccum_15_and_dense_cost_the_same(kind: type[InfoAccum]) -> None:
    weights = sum(24 * 9 * (3 + 24 * layer) for layer in range(15))
    assert count(kind().build(3), (64, 32)) == Cost(weights + 15 * 24, 64 * 32 * weights)


def test_channels_in_front_of_a_deeper_layer() -> None:
    assert count(nn.Conv2d(64, 2, 1, bias=False), (4, 5), channels=64) == Cost(128, 20 * 128)


def test_an_image_costs_what_it_is_padded_to() -> None:
    unet = UNet(3, width=4)
    assert count(unet, (250, 17)) == count(unet, (256, 24))


def test_a_shared_weight_is_counted_once_and_works_twice() -> None:
    shared = nn.Conv2d(3, 3, 1, bias=False)
    assert count(nn.Sequential(shared, shared), (10, 10)) == Cost(9, 2 * 900)


def test_the_network_stays_as_it_was() -> None:
    network = UNet(2, width=4, norm="batch", enhancer=InfoAccum(2, 2)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count(network)
    assert network.training
    after = network.state_dict()
    assert all(after[name].equal(tensor) for name, tensor in before.items())
    assert {tensor.device.type for tensor in after.values()} == {"cpu"}


def test_size_costs_no_memory() -> None:
    """One feature map of 64 channels would have 64 GiB."""
    large = count(UNet(8, enhancer=InfoAccum(), upsampler=SubPixel()), (2**14, 2**14))
    assert large.multiply_adds > 1e14


def test_a_network_on_the_meta_device_can_be_counted() -> None:
    with torch.device("meta"):
        network = EncoderDecoder(3, width=4)
    assert count(network) == count(EncoderDecoder(3, width=4))
