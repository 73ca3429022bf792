"""Each benchmark in miniature: the official tree and names, small images, right pairs known.

The clean image of a scene is a smooth random field, a function of the scene's name. A degraded one
is half as bright, plus a few levels that tell the versions of one scene apart.
"""

import zlib
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from ir_lightning.data.image_files import write_image

Image = NDArray[np.uint8]
HEIGHT, WIDTH = 48, 64
STEP = 8  # levels between two versions: more than JPEG changes a mean

WEATHER = (("0.01", "0.005", "0.01"), ("0.02", "0.01", "0.005"), ("0.03", "0.015", "0.002"))


def clean(scene: str, height: int = HEIGHT, width: int = WIDTH) -> Image:
    """A smooth (H, W, 3) image that belongs to this scene alone."""
    field = np.random.default_rng(zlib.crc32(scene.encode())).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def degraded(image: Image, version: int) -> Image:
    """The ``version``-th degraded twin of a clean image, 0 to 15."""
    return (image // 2 + STEP * version).astype(np.uint8)


def version_of(sample_clean: Image, sample_degraded: Image) -> float:
    """Which version a degraded image is, if it belongs to this clean one; -1 if it does not."""
    rest = sample_degraded.astype(float) - sample_clean // 2
    return float(rest.mean() / STEP) if rest.std() < STEP / 2 else -1.0


def write(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    usual = path.with_suffix(path.suffix.lower())
    write_image(usual, image)
    usual.rename(path)


def rain800(root: Path, training: int = 8, test: int = 2) -> None:
    """Clean on the left."""
    for split, count in (("training", training), ("test_syn", test)):
        for number in range(1, count + 1):
            image = clean(f"{split}-{number}")
            write(root / split / f"{number}.jpg", np.hstack([image, degraded(image, 1)]))


def rain1200(root: Path, training: int = 4, test: int = 3) -> None:
    """Rainy on the left; the density is the version."""
    for version, density in enumerate(("Heavy", "Medium", "Light")):
        for number in range(training):
            image = clean(f"train-{number}")
            folder = root / "DID-MDN-training" / f"Rain_{density}" / "train2018new"
            write(folder / f"{number}.jpg", np.hstack([degraded(image, version), image]))
    for number in range(test):
        image = clean(f"test-{number}")
        write(root / "DID-MDN-test" / f"{number}.jpg", np.hstack([degraded(image, 0), image]))


SIDD_FOLDERS = (
    "0001_001_S6_00100_00060_3200_L",
    "0002_001_S6_00100_00020_3200_N",
    "0021_002_GP_01600_03200_5500_N",
    "0200_010_GP_01600_03200_5500_N",
)


def sidd(root: Path, medium: bool = False) -> None:
    """The photographs of SIDD-Small (or Medium) and the two files of validation blocks."""
    data = root / ("SIDD_Medium_Srgb" if medium else "SIDD_Small_sRGB_Only") / "Data"
    for folder in SIDD_FOLDERS:
        prefix = f"{folder[:4]}_" if medium else ""
        for version, shot in enumerate(("010", "011") if medium else ("010",)):
            image = clean(f"{folder}-{shot}")
            write(data / folder / f"{prefix}GT_SRGB_{shot}.PNG", image)
            write(data / folder / f"{prefix}NOISY_SRGB_{shot}.PNG", degraded(image, version))
    sidd_blocks(root)


def sidd_blocks(root: Path, images: int = 3, blocks: int = 2) -> None:
    """``[image, block]``; the version is the block."""
    shots = [[clean(f"{i}-{b}", 32, 32) for b in range(blocks)] for i in range(images)]
    noisy = [[degraded(shot, b) for b, shot in enumerate(row)] for row in shots]
    for kind, values in (("Gt", shots), ("Noisy", noisy)):
        key = f"Validation{kind}BlocksSrgb"
        root.mkdir(parents=True, exist_ok=True)
        savemat(root / f"{key}.mat", {key: np.array(values)}, do_compression=True)


def reside(
    root: Path, scenes: Iterable[int] = (1, 2, 10), hazy: str = "hazy", gt: str = "clear"
) -> None:
    """ITS (two of the ten versions), SOTS-indoor with its border, SOTS-outdoor."""
    for scene in scenes:
        image = clean(f"its-{scene}")
        write(root / "ITS_v2" / gt / f"{scene}.png", image)
        for version in (1, 10):
            name = f"{scene}_{version}_0.9{version}.png"
            write(root / "ITS_v2" / hazy / name, degraded(image, version))
    indoor, outdoor = root / "SOTS" / "indoor" / "nyuhaze500", root / "SOTS" / "outdoor"
    for scene in (1400, 1401):
        image = clean(f"sots-{scene}", HEIGHT + 20, WIDTH + 20)
        write(indoor / "gt" / f"{scene}.png", image)
        for version in (1, 10):
            inside = degraded(image[10:-10, 10:-10], version)
            write(indoor / "hazy" / f"{scene}_{version}.png", inside)
    for scene in ("0001", "0010"):
        image = clean(f"outdoor-{scene}")
        write(outdoor / "gt" / f"{scene}.png", image)
        write(outdoor / "hazy" / f"{scene}_0.8_0.2.jpg", degraded(image, 1))


def reside_in(root: Path) -> None:
    """Clear images under the hazy names, one for each."""
    for split, scenes in (("train", (1, 2, 10)), ("test", (1400, 1401))):
        for scene in scenes:
            image = clean(f"{split}-{scene}")
            for version in (1, 10):
                folder = root / "RESIDE-IN" / split
                write(folder / "GT" / f"{scene}_{version}.png", image)
                write(folder / "hazy" / f"{scene}_{version}.png", degraded(image, version))


def raincityscapes(root: Path, naming: str = "_leftImg8bit", height: int = HEIGHT) -> None:
    """Two patterns of each weather; the version is 2 * weather + pattern. One clean is unused."""
    scenes = {
        "train": ("aachen_000004_000019", "aachen_000010_000019", "jena_000004_000019"),
        "val": ("lindau_000000_000019", "munster_000000_000019"),
    }
    for split, names in scenes.items():
        for scene in names:
            city, image = scene.split("_")[0], clean(scene, height)
            write(root / "leftImg8bit" / split / city / f"{scene}_leftImg8bit.png", image)
            for weather, (alpha, beta, drop) in enumerate(WEATHER):
                for pattern in (1, 12):
                    name = f"{scene}{naming}_rain_alpha_{alpha}_beta_{beta}_dropsize_{drop}"
                    file = (
                        root / "leftImg8bit_rain" / split / city / f"{name}_pattern_{pattern}.png"
                    )
                    write(file, degraded(image, 2 * weather + (pattern == 12)))
        unused = root / "leftImg8bit" / split / "zurich" / "zurich_000000_000019_leftImg8bit.png"
        write(unused, clean("zurich", height))


def outdoorrain(root: Path, scenes: int = 10) -> None:
    """15 versions of each scene."""
    for number in range(1, scenes + 1):
        image = clean(f"im_{number:04d}")
        write(root / "train" / "gt" / f"im_{number:04d}.png", image)
        kinds = [(s, a) for s in (80, 85, 90, 95, 100) for a in (4, 5, 6)]
        for version, (angle, light) in enumerate(kinds):
            name = f"im_{number:04d}_s{angle}_a{light:02d}.png"
            write(root / "train" / "in" / name, degraded(image, version))


def rain100(root: Path, letter: str = "L", folders: bool = False) -> None:
    """In one folder, or in ``rainy`` and ``norain``; training images have the magnification x2."""
    rainy, norain = ("rainy/", "norain/") if folders else ("", "")
    for split, numbers, suffix in (
        (f"RainTrain{letter}", ("1", "2", "10"), "x2"),
        (f"Rain100{letter}", ("001", "010"), ""),
    ):
        for number in numbers:
            image = clean(f"{split}-{number}")
            write(root / split / f"{norain}norain-{number}.png", image)
            write(root / split / f"{rainy}rain-{number}{suffix}.png", degraded(image, 1))


def rain13k(root: Path) -> None:
    """The training set and two of the five test sets."""
    for folder, suffix in (
        ("train/Rain13K", "jpg"),
        ("test/Test100", "png"),
        ("test/Rain100L", "png"),
    ):
        for number in (1, 2, 10):
            image = clean(f"{folder}-{number}")
            write(root / folder / "target" / f"{number}.{suffix}", image)
            write(root / folder / "input" / f"{number}.{suffix}", degraded(image, 1))


def pairs(root: Path, count: int = 3) -> None:
    """A folder of one's own pairs: ``degraded`` and ``clean``, by name."""
    for index in range(count):
        scene = clean(f"own {index}")
        for kind, image in (("degraded", degraded(scene, 1)), ("clean", scene)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            write_image(root / kind / f"{index}.png", image)
