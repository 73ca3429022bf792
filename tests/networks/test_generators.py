"""Generators take any image, at any depth, with any enhancer and upsampler, and can be trained."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ir_lightning.errors import UsageError
from ir_lightning.networks.enhancers.base import Block, Enhancer
from ir_lightning.networks.enhancers.infoaccum import Dense, InfoAccum
from ir_lightning.networks.generators.encoder_decoder import (
    EncoderDecoder,
    EncoderDecoderBase,
    UNet,
)
from ir_lightning.networks.upsamplers import Bilinear, Deconv, Nearest, SubPixel, Upsampler

GENERATORS = [UNet, EncoderDecoder]
UPSAMPLERS = [None, Deconv(), Nearest(), Bilinear("top"), SubPixel(), SubPixel("all")]

edges = st.integers(1, 300)
depths = st.integers(1, 8)


def train_one_step(generator: EncoderDecoderBase, degraded: Tensor) -> None:
    """Everything that training needs: shape, range, finite numbers, all weights learn."""
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-2)
    restored = generator(degraded)
    assert restored.shape == degraded.shape
    assert restored.min() >= 0
    assert restored.max() <= 1
    (restored - torch.rand_like(degraded)).abs().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())
    optimizer.step()
    assert all(parameter.isfinite().all() for parameter in generator.parameters())


@pytest.mark.slow
@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(GENERATORS),
    depth=depths,
    batch=st.integers(1, 2),
    height=edges,
    width=edges,
    upsampler=st.sampled_from(UPSAMPLERS),
    norm=st.sampled_from(["instance", "batch", "none"]),
    positions=st.sets(depths, max_size=2),
)
@example(UNet, 8, 1, 1, 1, None, "instance", {1, 8})
@example(UNet, 8, 2, 300, 299, SubPixel(), "instance", {2})
@example(UNet, 8, 1, 256, 256, None, "batch", {8})
@example(UNet, 7, 1, 128, 128, None, "batch", set())
@example(UNet, 1, 1, 1, 300, Bilinear(), "instance", {1})
@example(EncoderDecoder, 8, 1, 256, 256, None, "batch", {8})
@example(EncoderDecoder, 8, 1, 1, 1, None, "instance", {1, 8})
@example(EncoderDecoder, 1, 2, 300, 1, Deconv(), "none", {1})
def test_any_image_at_any_depth_keeps_its_shape_and_trains(
    kind: type[EncoderDecoderBase],
    depth: int,
    batch: int,
    height: int,
    width: int,
    upsampler: Upsampler | None,
    norm: str,
    positions: set[int],
) -> None:
    torch.manual_seed(0)
    inside = [position for position in positions if position <= depth]
    enhancer = InfoAccum(1, 2, (1, 3), inside, norm) if inside else None
    generator = kind(depth, 2, norm, 0.5, enhancer, upsampler)
    train_one_step(generator, torch.rand(batch, 3, height, width))


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("enhancer", [InfoAccum(2, 2, positions=[1, 4]), Dense(2, 4, positions=3)])
@pytest.mark.parametrize("upsampler", UPSAMPLERS[1:])
def test_every_generator_enhancer_and_upsampler_fit_together(
    kind: type[EncoderDecoderBase], enhancer: Enhancer, upsampler: Upsampler
) -> None:
    torch.manual_seed(0)
    generator = kind(4, 4, enhancer=enhancer, upsampler=upsampler)
    train_one_step(generator, torch.rand(1, 3, 33, 20))


def pix2pix_unet(depth: int, width: int, norm: type[nn.Module]) -> list[list[nn.Module]]:
    """The layers of pix2pix's recursive U-Net, from the outside inwards: down, up, their norms."""
    widths = [3] + [width * min(2**k, 8) for k in range(depth)]
    levels = []
    for k in range(depth):
        outer, inner = widths[k], widths[k + 1]
        down = nn.Conv2d(outer, inner, 4, 2, 1)
        up = nn.ConvTranspose2d(inner if k == depth - 1 else 2 * inner, outer, 4, 2, 1)
        levels.append([down, up, norm(inner), norm(outer)])
    return levels


def run_pix2pix(levels: list[list[nn.Module]], x: Tensor) -> Tensor:
    """UnetSkipConnectionBlock of pix2pix, recursion and in-place activations written out."""

    def block(k: int, x: Tensor) -> Tensor:
        down, up, down_norm, up_norm = levels[k]
        outermost, innermost = k == 0, k == len(levels) - 1
        x = x if outermost else nn.functional.leaky_relu(x, 0.2)
        inside = down(x)
        if not outermost and not innermost:
            inside = down_norm(inside)
        if not innermost:
            inside = block(k + 1, inside)
        y = up(torch.relu(inside))
        return torch.tanh(y) if outermost else torch.cat([x, up_norm(y)], dim=1)

    return block(0, x)


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("depth", [1, 2, 6])
def test_unet_is_the_unet_of_pix2pix(norm: str, depth: int) -> None:
    torch.manual_seed(0)
    unet = UNet(depth, 4, norm)
    reference = pix2pix_unet(depth, 4, nn.InstanceNorm2d if norm == "instance" else nn.BatchNorm2d)
    ours = [m for m in unet.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    theirs = [level[0] for level in reference] + [level[1] for level in reversed(reference)]
    for own, other in zip(ours, theirs, strict=True):
        other.load_state_dict(own.state_dict())
    if norm == "batch":
        for layer in unet.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.ones_(layer.weight)
    image = torch.rand(2, 3, 64, 64)
    expected = (run_pix2pix(reference, image * 2 - 1) + 1) / 2
    torch.testing.assert_close(unet(image), expected)


def test_unet_8_has_the_published_number_of_parameters() -> None:
    """pix2pix prints 54.414 M for unet_256 with batch norm: its 16 convolutions have biases only
    behind the last one, because batch norm shifts anyway. Ours have them everywhere, as pix2pix
    has them with instance norm, which in turn has no scale and shift.
    """
    down = [64, 128, 256, 512, 512, 512, 512, 512]
    up = [512, 512, 512, 512, 256, 128, 64]
    norm = 2 * (sum(down[1:-1]) + sum(up))
    biases = sum(down) + sum(up)
    published = 54_413_955
    assert round(published / 1e6, 3) == 54.414
    assert count(UNet(8, 64, "batch")) == published + biases
    assert count(UNet(8, 64)) == published + biases - norm


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_first_weights_are_those_of_pix2pix() -> None:
    torch.manual_seed(0)
    unet = UNet(3, 32, "batch", enhancer=Dense(2, 24))
    for name, parameter in unet.named_parameters():
        if name.endswith("bias"):
            assert parameter.eq(0).all()
        elif parameter.dim() == 4:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.15)
        else:
            assert parameter.mean().item() == pytest.approx(1, abs=0.02)


def test_encoder_decoder_passes_everything_through_the_bottleneck() -> None:
    torch.manual_seed(0)
    generator = EncoderDecoder(3, 4)
    *skips, bottleneck = generator.encode(torch.rand(1, 3, 32, 32) * 2 - 1)
    blind = [torch.rand_like(skip) for skip in skips]
    same = generator.decode([*skips, bottleneck])
    assert generator.decode([*blind, bottleneck]).equal(same)
    assert not generator.decode([*skips, bottleneck + 1]).equal(same)


def test_unet_hears_every_skip_and_the_bottleneck() -> None:
    torch.manual_seed(0)
    unet = UNet(4, 4)
    features = unet.encode(torch.rand(1, 3, 32, 32) * 2 - 1)
    assert [tuple(f.shape[1:]) for f in features] == [
        (4, 16, 16),
        (8, 8, 8),
        (16, 4, 4),
        (32, 2, 2),
    ]
    restored = unet.decode(features)
    for level, feature in enumerate(features):
        changed = [*features[:level], torch.rand_like(feature), *features[level + 1 :]]
        assert not unet.decode(changed).equal(restored)


def test_encoder_decoder_pools_the_largest_of_four() -> None:
    torch.manual_seed(0)
    generator = EncoderDecoder(1, 4)
    image = torch.rand(1, 3, 8, 8) * 2 - 1
    convolution = next(m for m in generator.modules() if isinstance(m, nn.Conv2d))
    activated = nn.functional.leaky_relu(convolution(image), 0.2)
    largest = activated.reshape(1, 4, 4, 2, 4, 2).amax(dim=(3, 5))
    torch.testing.assert_close(generator.encode(image)[0], largest)


class Erase(Enhancer):
    """Leaves two empty channels of whatever it sees."""

    def build(self, channels: int) -> Block:
        eraser = nn.Conv2d(channels, 2, 1, bias=False)
        return Block(2, eraser, nn.Threshold(1e9, 0.0))


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("position", [1, 2, 3])
def test_an_enhancer_feeds_only_its_encoder_layer(
    kind: type[EncoderDecoderBase], position: int
) -> None:
    torch.manual_seed(0)
    plain, erased = kind(4, 4), kind(4, 4, enhancer=Erase(position))
    erased.load_state_dict(
        {
            name: value
            for name, value in plain.state_dict().items()
            if not name.startswith(f"encoder.{position - 1}.")
        },
        strict=False,
    )
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    expected, features = plain.encode(image), erased.encode(image)
    for level in range(1, 5):
        if level < position:  # also the skip S_{k-1}, although the enhancer stands behind it
            assert features[level - 1].equal(expected[level - 1])
        else:  # nothing arrives but the zero biases
            assert features[level - 1].eq(0).all()


def ups(generator: EncoderDecoderBase) -> list[type]:
    """What doubles the image in each decoder layer, the top one last."""
    kinds = (nn.ConvTranspose2d, nn.Upsample)
    return [
        next((k for m in layer.modules() for k in kinds if isinstance(m, k)), nn.Conv2d)
        for layer in generator.decoder
    ]


def test_an_upsampler_for_the_top_leaves_the_others_native() -> None:
    assert ups(UNet(3, 4)) == [nn.ConvTranspose2d] * 3
    assert ups(UNet(3, 4, upsampler=Nearest())) == [nn.Upsample] * 3
    assert ups(UNet(3, 4, upsampler=SubPixel())) == [nn.ConvTranspose2d] * 2 + [nn.Conv2d]
    assert ups(UNet(3, 4, upsampler=SubPixel("all"))) == [nn.Conv2d] * 3
    assert ups(EncoderDecoder(3, 4)) == [nn.Upsample] * 3
    assert ups(EncoderDecoder(3, 4, upsampler=Deconv("top"))) == [nn.Upsample] * 2 + [
        nn.ConvTranspose2d
    ]


def test_dropout_is_in_the_inner_layers_only() -> None:
    for depth in range(1, 9):
        unet = UNet(depth, 2, dropout=0.5)
        levels = [
            depth - index
            for index, layer in enumerate(unet.decoder)
            if any(isinstance(m, nn.Dropout) for m in layer.modules())
        ]
        assert levels == list(range(depth - 1, 4, -1))
    assert not any(isinstance(m, nn.Dropout) for m in UNet(8, 2).modules())


def test_dropout_halves_features_while_training_and_no_restored_image() -> None:
    torch.manual_seed(0)
    unet, image = UNet(6, 8, dropout=0.5), torch.rand(1, 3, 64, 64)
    inner = unet.decoder[1]
    features = torch.rand(4, inner[1].in_channels, 8, 8)
    whole = inner[:-1](features)
    dropped = inner(features)
    kept = dropped != 0
    assert kept.float().mean().item() == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(dropped[kept], 2 * whole[kept])
    assert not unet(image).equal(unet(image))
    unet.eval()
    assert unet(image).equal(unet(image))
    plain = UNet(6, 8).eval()
    assert unet(image).equal(plain(image))  # of the same seed, so of the same weights


@pytest.mark.parametrize("kind", GENERATORS)
def test_an_odd_image_is_continued_by_its_border(kind: type[EncoderDecoderBase]) -> None:
    torch.manual_seed(0)
    generator = kind(3, 4)
    image = torch.rand(1, 3, 13, 9)
    rows, columns = torch.arange(16).clamp(max=12), torch.arange(16).clamp(max=8)
    padded = image[:, :, rows][:, :, :, columns]
    assert generator(image).equal(generator(padded)[:, :, :13, :9])


def test_channels_last_changes_nothing_but_speed() -> None:
    torch.manual_seed(0)
    generator = UNet(3, 4, enhancer=InfoAccum(2, 2, positions=[1, 2]), upsampler=SubPixel())
    image = torch.rand(1, 3, 24, 24)
    expected = generator(image)
    for parameter in generator.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    restored = generator(image.to(memory_format=torch.channels_last))
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", GENERATORS)
def test_mixed_precision_returns_the_precision_of_the_image(kind: type[EncoderDecoderBase]) -> None:
    torch.manual_seed(0)
    generator = kind(3, 8, enhancer=InfoAccum(2, 2, positions=[1, 2]), upsampler=SubPixel())
    image = torch.rand(1, 3, 32, 32)
    expected = generator(image)
    with torch.autocast("cpu", torch.bfloat16):
        restored = generator(image)
        assert restored.dtype == torch.float32
        torch.testing.assert_close(restored, expected, atol=0.01, rtol=0)
        train_one_step(generator, image)


@pytest.mark.parametrize("kind", GENERATORS)
def test_what_cannot_be_built_is_said_in_words(kind: type[EncoderDecoderBase]) -> None:
    for depth in (0, 9, -1):
        with pytest.raises(UsageError, match=f"^depth={depth}: give .* 1 to 8"):
            kind(depth)
    with pytest.raises(UsageError, match=r"^norm=layer: choose instance"):
        kind(norm="layer")
    with pytest.raises(UsageError, match=r"^dropout=1.5: "):
        kind(dropout=1.5)
    with pytest.raises(UsageError, match=r"^width=0: "):
        kind(width=0)
    with pytest.raises(UsageError, match=r"^enhancer.positions=\[1, 4\]: .* 4 at depth=3"):
        kind(3, 4, enhancer=InfoAccum(positions=[1, 4]))
