"""A restorer survives the disk, runs nothing a stranger wrote, and takes images of any kind."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn

import ir_lightning
from ir_lightning.errors import DataError, UsageError
from ir_lightning.inference import Restorer, load, score, torch_device
from ir_lightning.networks.enhancers.infoaccum import InfoAccum
from ir_lightning.networks.generators.encoder_decoder import UNet
from ir_lightning.networks.tiling import restore_tiled
from ir_lightning.networks.upsamplers import SubPixel
from ir_lightning.training.weights import load_generator, save_network

CPU = torch.device("cpu")
NETWORKS = "ir_lightning.networks"
CONFIG: dict[str, Any] = {
    "_target_": f"{NETWORKS}.generators.unet.UNet",
    "depth": 3,
    "width": 4,
    "norm": "batch",
    "enhancer": {
        "_target_": f"{NETWORKS}.enhancers.infoaccum.InfoAccum",
        "layers": 2,
        "growth": 2,
        "positions": [1, 2],
    },
    "upsampler": {"_target_": f"{NETWORKS}.upsamplers.subpixel.SubPixel", "levels": "top"},
    "channels": 3,
}
CONVOLUTION = {
    "_target_": "torch.nn.Conv2d",
    "in_channels": 3,
    "out_channels": 3,
    "kernel_size": 3,
    "padding": 1,
}


@pytest.fixture
def unet() -> UNet:
    torch.manual_seed(0)
    enhancer = InfoAccum(layers=2, growth=2, positions=[1, 2])
    generator = UNet(depth=3, width=4, norm="batch", enhancer=enhancer, upsampler=SubPixel())
    for statistic in generator.buffers():  # batch norm's, which are no parameters
        if statistic.is_floating_point():
            statistic.uniform_(0.5, 1.5)
    return generator


@pytest.fixture
def run_dir(unet: UNet, tmp_path: Path) -> Path:
    save_network(tmp_path / "run", "generator", unet, CONFIG)
    return tmp_path / "run"


def rewrite_config(run_dir: Path, config: Any, place: str) -> None:
    """Put another configuration into the file's metadata or into config.yaml."""
    weights = run_dir / "generator.safetensors"
    in_file = place == "metadata"
    save_file(load_file(weights), weights, {"generator": json.dumps(config)} if in_file else None)
    if not in_file:
        (run_dir / "config.yaml").write_text(yaml.safe_dump({"seed": 0, "generator": config}))


def test_a_generator_survives_the_disk(unet: UNet, run_dir: Path) -> None:
    degraded = torch.rand(1, 3, 21, 30)
    expected = unet.eval()(degraded)
    for path in (run_dir, str(run_dir / "generator.safetensors")):
        loaded = load_generator(path, CPU)
        assert isinstance(loaded, UNet)
        assert torch.equal(loaded(degraded), expected)
        assert not loaded.training
        assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert [path.name for path in run_dir.iterdir()] == ["generator.safetensors"]


def test_the_configuration_of_the_run_serves_where_the_file_has_none(
    unet: UNet, run_dir: Path
) -> None:
    rewrite_config(run_dir, CONFIG, "config.yaml")
    degraded = torch.rand(1, 3, 8, 8)
    assert torch.equal(load_generator(run_dir, CPU)(degraded), unet.eval()(degraded))
    (run_dir / "config.yaml").unlink()
    with pytest.raises(UsageError, match=r"does not say which network.*config\.yaml"):
        load_generator(run_dir, CPU)


def test_weights_that_share_memory_are_saved(tmp_path: Path) -> None:
    shared = nn.Conv2d(3, 3, 1)
    config = {"_target_": "torch.nn.Sequential", "_args_": [CONVOLUTION | {"kernel_size": 1}] * 2}
    save_network(tmp_path, "generator", nn.Sequential(shared, shared), config)
    stored = load_file(tmp_path / "generator.safetensors")
    assert torch.equal(stored["0.weight"], shared.weight)
    assert torch.equal(stored["1.weight"], shared.weight)


@pytest.mark.parametrize("place", ["metadata", "config.yaml"])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    "target",
    [
        "os.mkdir",
        "builtins.eval",
        "hydra.utils.instantiate",
        "ir_lightning.inference.os.mkdir",
        f"{NETWORKS}.generators.unet.torch.load",
        f"{NETWORKS}.generators.hourglass.UsageError",
        f"{NETWORKS}.initialise.initialise",
        f"{NETWORKS}.nowhere.Absent",
        "ir_lightning.networksevil.Net",
        "torch.nn.modules.module.functools.partial",
        "torch.nn.functional.relu",
        "torch.nnx.Conv2d",
        "torch.nn",
        "torch.nn..Conv2d",
        "torch.hub.load",
        ["torch.nn.Identity"],
        None,
    ],
)
def test_strangers_cannot_name_what_is_built(
    target: Any, nested: bool, place: str, run_dir: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    evil = {"_target_": target, "_args_": [str(trap)]}
    rewrite_config(run_dir, CONFIG | {"norm": [[evil]]} if nested else evil, place)
    with pytest.raises(UsageError, match="refused to build"):
        load_generator(run_dir, CPU)
    assert not trap.exists()


def test_strangers_cannot_have_a_module_imported(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stranger.py").write_text("class Net: ...")
    monkeypatch.syspath_prepend(tmp_path)
    rewrite_config(run_dir, {"_target_": "stranger.Net"}, "metadata")
    with pytest.raises(UsageError, match=r"refused to build stranger\.Net"):
        load_generator(run_dir, CPU)
    assert "stranger" not in sys.modules, "importing runs what stands in a module"


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        ({"_partial_": True}, "refused the key _partial_"),
        ({"_recursive_": False}, "refused the key _recursive_"),
        ({"norm": "${oc.env:HOME}"}, "refused the reference"),
        ({"enhancer": {"positions": ["${depth}"]}}, "refused the reference"),
        ({"depht": 3}, "unexpected keyword argument 'depht'"),
        ({"depth": 99}, "depth"),
    ],
)
def test_configurations_that_are_refused(
    addition: dict[str, Any], words: str, run_dir: Path
) -> None:
    for place in ("metadata", "config.yaml"):
        rewrite_config(run_dir, CONFIG | addition, place)
        with pytest.raises(UsageError, match=words):
            load_generator(run_dir, CPU)


def test_a_configuration_without_a_network_is_refused(run_dir: Path) -> None:
    for config in (CONFIG["upsampler"], {}, "torch.nn.Identity", [CONFIG]):
        rewrite_config(run_dir, config, "metadata")
        with pytest.raises(UsageError, match="no network"):
            load_generator(run_dir, CPU)


def test_weights_of_another_network_are_refused(run_dir: Path) -> None:
    for other in ({"depth": 2, "enhancer": None}, {"width": 8}):
        rewrite_config(run_dir, CONFIG | other, "metadata")
        with pytest.raises(UsageError, match="do not fit the configuration"):
            load_generator(run_dir, CPU)


def test_a_damaged_file_is_named(run_dir: Path) -> None:
    weights = run_dir / "generator.safetensors"
    for content in (b"", b"no safetensors at all", weights.read_bytes()[:-40]):
        weights.write_bytes(content)
        with pytest.raises(DataError, match=r"generator\.safetensors: the weights cannot be read"):
            load_generator(run_dir, CPU)


class Trap:
    """What a pickled checkpoint can do to those who load it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("sprung"),)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("last.ckpt", "generator.safetensors"):
        Path(name).write_bytes(pickle.dumps(Trap()))
        with pytest.raises((UsageError, DataError), match=name):
            load_generator(name, CPU)
    assert not Path("sprung").exists()


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"generator\.safetensors: no such file"):
        load(tmp_path)
    with pytest.raises(UsageError, match="absent"):
        load(tmp_path / "absent")


def test_devices(run_dir: Path) -> None:
    assert load(run_dir).device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("cuda:99", "abacus"):
        with pytest.raises(UsageError, match=f"device={name}"):
            torch_device(name)


class Negative(nn.Module):
    def forward(self, degraded: Tensor) -> Tensor:
        return 1 - degraded


class Tinting(nn.Module):
    """Changes the three channels differently, and leaves the range."""

    def forward(self, degraded: Tensor) -> Tensor:
        return degraded + torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5), (7, 5, 1), (7, 5, 3), (7, 5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_arrays_keep_their_kind(shape: tuple[int, ...], dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 256, shape)
    degraded = (values if dtype is np.uint8 else values / 255).astype(dtype)
    kept = degraded.copy()
    restored = Restorer(Negative(), CPU)(degraded)
    assert restored.shape == shape
    assert restored.dtype == dtype
    expected = 255 - values
    if shape[2:] == (4,):
        assert np.array_equal(restored[..., 3], degraded[..., 3])
        expected[..., 3] = values[..., 3]
    levels = restored.astype(np.float64) * (1 if dtype is np.uint8 else 255)
    assert np.abs(levels - expected).max() < (0.3 if dtype is np.float16 else 1e-4)
    assert np.array_equal(degraded, kept), "the input was changed"


def test_grey_is_the_mean_of_the_restored_channels() -> None:
    restorer = Restorer(Tinting(), CPU)
    assert restorer(np.full((4, 4), 0.5, np.float32)) == pytest.approx(0.7)
    clipped = restorer(np.full((4, 4), 0.85, np.float32))
    assert clipped == pytest.approx((0.95 + 1 + 1) / 3), "each channel stays in [0, 1]"


def test_views_and_foreign_memory_layouts_are_welcome() -> None:
    image = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image.flags.writeable = False
    restorer = Restorer(Negative(), CPU)
    for view in (image[::-1, ::2], image[..., ::-1], np.asfortranarray(image)):
        assert np.array_equal(restorer(view), 255 - view)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\(1, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.zeros((4, 4), np.uint16), "uint16"),
        (np.full((4, 4), 128.0), r"128\.0: scale"),
        (np.full((4, 4), -0.1), "scale"),
        (np.full((4, 4), np.nan), "scale"),
    ],
)
def test_arrays_that_are_no_images(image: np.ndarray, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Restorer(Negative(), CPU)(image)


def test_a_network_that_changes_the_size_is_no_restorer() -> None:
    with pytest.raises(UsageError, match="no restorer"):
        Restorer(nn.AvgPool2d(2), CPU)(np.zeros((8, 8, 3), np.uint8))


class Exhausted(nn.Module):
    def forward(self, degraded: Tensor) -> Tensor:
        raise torch.OutOfMemoryError(f"no room for {degraded.numel()} numbers")


def test_too_little_memory_is_answered_with_tiles() -> None:
    with pytest.raises(UsageError, match=r"8 x 4 pixels.*tile"):
        Restorer(Exhausted(), CPU)(np.zeros((4, 8, 3), np.uint8))


def test_any_size_passes_through_a_real_network(run_dir: Path) -> None:
    whole, tiled = load(run_dir, "cpu"), load(run_dir, "cpu", tile=16, overlap=8)
    for size in ((1, 1), (3, 50), (37, 21)):
        image = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
        for restorer in (whole, tiled):
            restored = restorer(image)
            assert restored.shape == image.shape
            assert restored.std() > 0 or size == (1, 1)


def test_bf16_is_asked_for_and_moves_an_8_bit_value_a_little(run_dir: Path) -> None:
    """Autocast alone would leave a result in bf16, whose steps near 1 are those of 8 bits."""
    image = np.random.default_rng(4).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    full, half = load(run_dir, "cpu")(image), load(run_dir, "cpu", bf16=True)(image)
    moved = np.abs(full.astype(int) - half)
    assert 0 < moved.mean() < 1
    smooth = load(run_dir, "cpu", bf16=True)(image.astype(np.float32) / 255)
    assert len(np.unique(smooth)) > 500, "between 0.25 and 1, bf16 has 256 values"


class Watched(nn.Module):
    """Passes images on and remembers their sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def forward(self, degraded: Tensor) -> Tensor:
        self.sizes.append((degraded.shape[-2], degraded.shape[-1]))
        return degraded


@settings(deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    tile=st.integers(1, 24),
    overlap=st.integers(0, 23),
)
def test_tiles_of_the_identity_are_the_image(
    height: int, width: int, tile: int, overlap: int
) -> None:
    overlap = min(overlap, tile - 1)
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
    network = Watched()
    assert torch.allclose(restore_tiled(network, image, tile, overlap), image, atol=1e-6, rtol=0)
    assert max(map(max, network.sizes)) <= tile
    if max(height, width) <= tile:
        assert network.sizes == [(height, width)]


def test_neighbouring_tiles_fade_into_each_other() -> None:
    values = iter([0.0, 1.0])
    faded = restore_tiled(
        lambda t: torch.full_like(t, next(values)), torch.zeros(1, 3, 8, 40), 24, 8
    )
    row = faded[0, 0, 0]
    assert torch.equal(row[:16], torch.zeros(16))
    assert torch.equal(row[24:], torch.ones(16))
    steps = row[15:25].diff()
    assert steps.min() > 0
    assert steps.max() == pytest.approx(1 / 9, abs=1e-6)


def test_only_one_tile_passes_through_the_network() -> None:
    network = Watched()
    image = np.random.default_rng(3).integers(0, 256, (100, 130, 3), dtype=np.uint8)
    assert np.array_equal(Restorer(network, CPU, tile=32, overlap=8)(image), image)
    assert max(map(max, network.sizes)) <= 32
    # Hardly more than the image and what neighbours share.
    assert sum(h * w for h, w in network.sizes) <= (100 + 3 * 8 + 4) * (130 + 5 * 8 + 6)
    assert len(network.sizes) == 4 * 6  # ceil((100 - 8) / 24) x ceil((130 - 8) / 24)


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0), (-3, 0), (8, 8), (8, -1)])
def test_tiles_that_cannot_cover_an_image(tile: int, overlap: int) -> None:
    with pytest.raises(UsageError, match=r"tile=|overlap="):
        Restorer(Negative(), CPU, tile, overlap)
    with pytest.raises(UsageError, match=r"tile=|overlap="):
        restore_tiled(Negative(), torch.zeros(1, 3, 4, 4), tile, overlap)


def test_the_package_offers_what_a_user_needs_without_importing_torch() -> None:
    program = (
        "import sys, ir_lightning; print('torch' in sys.modules, sorted(ir_lightning.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False ['Restorer', '__version__', 'load', 'score']"
    assert ir_lightning.load is load
    assert ir_lightning.score is score


@pytest.mark.parametrize("floats", [False, True])
def test_a_score_is_that_of_scikit_image(floats: bool) -> None:
    random = np.random.default_rng(0)
    clean = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    noisy = np.clip(clean + random.normal(0, 9, clean.shape), 0, 255).round().astype(np.uint8)
    pair = (noisy / 255, clean / 255) if floats else (noisy, clean)
    scores = score(*pair)
    assert scores["psnr"] == pytest.approx(peak_signal_noise_ratio(clean, noisy), abs=1e-6)
    _, similarity = structural_similarity(
        clean,
        noisy,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        full=True,
    )
    inside = similarity[5:-5, 5:-5]  # where the window fits
    assert scores["ssim"] == pytest.approx(inside.mean(), abs=1e-4)


def test_what_cannot_be_scored_is_refused() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(UsageError, match="no image"):
        score(image, np.zeros((2, 20, 20, 3), np.uint8))
    with pytest.raises(UsageError, match="one size"):
        score(image, image[:15])
    with pytest.raises(UsageError, match="protocol"):
        score(image, image, protocol="rgb")
