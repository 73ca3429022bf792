"""Whatever an image file holds, the rest of the program sees upright 8-bit RGB or one sentence."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from ir_lightning.data.image_files import (
    image_size,
    list_images,
    read_image,
    read_pixels,
    write_image,
)
from ir_lightning.errors import DataError, UsageError
from ir_lightning.files import atomic_write


@pytest.fixture
def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (14, 23, 3), dtype=np.uint8)


@pytest.fixture
def photograph() -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (64, 48), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".PNG"])
def test_lossless_formats_return_the_same_pixels(
    suffix: str, colours: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"image{suffix}"
    write_image(path, colours)
    assert np.array_equal(read_image(path), colours)
    assert image_size(path) == (14, 23)


def test_jpeg_pixels_are_those_of_libjpeg_turbo(photograph: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    write_image(path, photograph)
    assert np.abs(read_image(path).astype(int) - photograph).mean() < 2
    assert np.array_equal(read_image(path), cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))
    Image.fromarray(photograph).save(path, quality=40, subsampling=2, progressive=True)
    assert np.array_equal(read_image(path), cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))


def test_grey_has_three_equal_channels(colours: np.ndarray, tmp_path: Path) -> None:
    grey = colours[..., 0]
    write_image(tmp_path / "grey.png", grey)
    assert np.array_equal(read_image(tmp_path / "grey.png"), np.stack([grey] * 3, axis=2))
    assert np.array_equal(read_pixels(tmp_path / "grey.png"), grey)


def test_alpha_is_dropped_and_the_colours_under_it_stay(
    colours: np.ndarray, tmp_path: Path
) -> None:
    translucent = np.dstack([colours, np.zeros((14, 23), np.uint8)])
    for suffix in (".png", ".tif", ".webp"):
        path = tmp_path / f"image{suffix}"
        write_image(path, translucent)
        assert np.array_equal(read_image(path), colours)
        assert np.array_equal(read_pixels(path), translucent)


def test_palettes_become_their_colours(tmp_path: Path) -> None:
    indices = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "L")
    picture = indices.convert("P")
    picture.putpalette([10, 20, 30, 200, 100, 50])
    expected = [[[10, 20, 30], [200, 100, 50]], [[200, 100, 50], [10, 20, 30]]]
    for options in ({}, {"transparency": 0}):
        picture.save(tmp_path / "palette.png", **options)
        assert read_image(tmp_path / "palette.png").tolist() == expected


def test_two_levels_and_grey_with_alpha(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "mask.png")
    assert read_image(tmp_path / "mask.png").tolist() == [[[255] * 3, [0] * 3]]
    Image.fromarray(np.array([[[7, 0], [9, 255]]], np.uint8), "LA").save(tmp_path / "la.png")
    assert read_image(tmp_path / "la.png").tolist() == [[[7] * 3, [9] * 3]]


def test_cmyk_becomes_rgb(photograph: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photograph).convert("CMYK").save(tmp_path / "print.jpg", quality=98)
    assert np.abs(read_image(tmp_path / "print.jpg").astype(int) - photograph).mean() < 4


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_to_eight(channels: int, tmp_path: Path) -> None:
    values = np.array([0, 255, 256, 12800, 40000, 65535], np.uint16).reshape(1, 6, 1)
    for suffix in ("png", "tiff", "pgm" if channels == 1 else "ppm"):
        path = tmp_path / f"deep.{suffix}"
        cv2.imwrite(str(path), np.repeat(values, channels, axis=2))
        image = read_image(path).astype(int)
        assert np.abs(image * 257 - values).max() < 257
        assert image[0, :, 0].tolist()[::5] == [0, 255]


@pytest.mark.parametrize("values", [np.float32([[0.5]]), np.int32([[70000]]), np.int32([[-1]])])
def test_pixels_without_an_eight_bit_meaning_are_refused(
    values: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(values).save(tmp_path / "odd.tif")
    with pytest.raises(DataError, match=r"odd\.tif: the pixels .* 16"):
        read_image(tmp_path / "odd.tif")


TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # EXIF orientation -> stored pixels
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_exif_rotation_is_applied(
    orientation: int, suffix: str, photograph: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"camera.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(TURNED[orientation](photograph))
    Image.fromarray(stored).save(
        path, exif=exif, **({"lossless": True} if suffix == "webp" else {})
    )
    image = read_image(path)
    assert image.shape == photograph.shape
    assert image_size(path) == photograph.shape[:2]
    assert np.abs(image.astype(int) - photograph).mean() < 4
    with Image.open(path) as picture:
        assert np.array_equal(image, np.asarray(ImageOps.exif_transpose(picture)))


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_a_meaningless_orientation_is_ignored(
    orientation: int, colours: np.ndarray, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(colours).save(tmp_path / "camera.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "camera.png"), colours)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_damaged_exif_does_not_cost_the_image(
    suffix: str, colours: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"camera.{suffix}"
    Image.fromarray(colours).save(path, exif=b"Exif\0\0garbage, no TIFF header")
    assert read_image(path).shape == colours.shape
    assert image_size(path) == (14, 23)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp", "ppm"])
def test_a_truncated_file_is_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_image(path, noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"cut\.{suffix}"):
        read_image(path)


def test_the_size_needs_no_pixels(colours: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    write_image(path, colours)
    path.write_bytes(path.read_bytes()[:60])
    assert image_size(path) == (14, 23)


def _png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 1000) + b"IDAT"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"this is no image", "not an image"),
        (_png_header(50000, 50000), "bomb"),
    ],
)
def test_files_that_are_no_images(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    for read in (read_image, read_pixels, image_size):
        with pytest.raises(DataError, match=rf"bad\.png: .*{words}"):
            read(path)


def test_a_missing_file_and_a_folder_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.png: no such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(DataError, match=str(tmp_path)):
        read_image(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    colours: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "image.png"
    write_image(path, colours)

    def fail_half_way() -> None:
        with atomic_write(path, "wb") as file:
            file.write(b"half of a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert np.array_equal(read_image(path), colours)
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_have_the_usual_permissions(colours: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "image.png", colours)
    (tmp_path / "usual").touch()
    assert (tmp_path / "image.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_what_cannot_be_written_is_said(colours: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"image\.gif.*png"):
        write_image(tmp_path / "image.gif", colours)
    translucent = np.dstack([colours, colours[..., 0]])
    for suffix in ("jpg", "bmp", "ppm"):
        with pytest.raises(UsageError, match=r"transparency.*\.png"):
            write_image(tmp_path / f"image.{suffix}", translucent)
    assert list(tmp_path.iterdir()) == []


def test_images_are_listed_in_natural_order(tmp_path: Path) -> None:
    names = ["1.png", "2.JPG", "10.jpeg", "10_2.Tif", "10_11.tiff", "a1.webp", "B1.bmp", "b2.PPM"]
    for name in [*reversed(names), "._1.png", "notes.txt", "2.png.part"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == names


def test_folders_without_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"no images .*png"):
        list_images(tmp_path)
    with pytest.raises(UsageError, match=r"absent: no such folder"):
        list_images(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"notes\.txt: cannot be listed"):
        list_images(tmp_path / "notes.txt")
