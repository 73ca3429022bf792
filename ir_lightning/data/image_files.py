"""Image files and their folders: (H, W, 3) uint8 RGB and back, never half-written."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, ImageOps, UnidentifiedImageError
from PIL import Image as Pillow

from ir_lightning.data.samples import Image
from ir_lightning.errors import DataError, UsageError
from ir_lightning.files import atomic_write

Pixels = NDArray[np.uint8]  # (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGB and alpha
EXTENSIONS = "png jpg jpeg bmp tif tiff webp ppm"
SHORT = {"jpg": "jpeg", "tif": "tiff"}
FORMATS = {f".{name}": SHORT.get(name, name).upper() for name in EXTENSIONS.split()}
WITH_ALPHA = {"PNG", "TIFF", "WEBP"}
QUALITY: dict[str, dict[str, int | bool]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}
LOOKED_AT = 200  # neighbouring folders, at most, in search of the one that was meant


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read a file as (H, W, 3) uint8 RGB, upright (EXIF rotation is applied).

    Grey becomes three equal channels, a palette its colours, CMYK Pillow's RGB; alpha is dropped,
    16-bit values are scaled to 8 bits, to within one level.

    Raises:
        DataError: the file is missing, empty, truncated, no image, larger than Pillow's limit
            against decompression bombs, or has no 8-bit meaning (floating point).
    """
    pixels = read_pixels(path)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def read_pixels(path: str | os.PathLike[str]) -> Pixels:
    """Read a file as :func:`read_image` does, but leave grey (H, W) and keep alpha: (H, W, 4)."""
    with _opened(Path(path)) as picture:
        orientation = _orientation(picture)
        picture.load()
        return _eight_bit(picture if orientation == 1 else ImageOps.exif_transpose(picture))


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) of the upright image, from the header; raises DataError as above."""
    with _opened(Path(path)) as picture:
        width, height = picture.size
        return (width, height) if _orientation(picture) >= 5 else (height, width)


def write_image(path: str | os.PathLike[str], image: Pixels) -> None:
    """Write (H, W), (H, W, 3) or (H, W, 4) uint8 in the format that the extension names.

    JPEG has quality 95 and full-resolution colour, all else is lossless.

    Raises:
        UsageError: an unknown extension, or alpha in a format that has none.
    """
    path = Path(path)
    file_format = FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise UsageError(f"{path}: unknown image extension; use one of {EXTENSIONS}.")
    if image.ndim == 3 and image.shape[2] == 4 and file_format not in WITH_ALPHA:
        raise UsageError(f"{path}: {file_format} has no transparency; write a .png instead.")
    with atomic_write(path, "wb") as file:
        picture = Pillow.fromarray(np.ascontiguousarray(image))
        picture.save(file, format=file_format, **QUALITY.get(file_format, {}))


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files directly in a folder, without hidden ones, in natural order (2 before 10).

    Raises:
        UsageError: the folder is missing, unreadable or holds no image.
    """
    folder = Path(folder).expanduser()
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _is_image(entry)]
    except FileNotFoundError:
        raise UsageError(f"{folder}: no such folder; give the folder that holds images.") from None
    except OSError as error:
        raise UsageError(f"{folder}: cannot be listed as a folder ({error.strerror}).") from None
    if not names:
        raise UsageError(f"{folder}: no images in this folder; looked for {EXTENSIONS}.")
    return [folder / name for name in sorted(names, key=_natural_order)]


def find(
    root: str | os.PathLike[str], title: str, levels: Sequence[str], *roles: Sequence[str]
) -> list[Path]:
    """The files or folders by which an unpacked data set is known.

    Args:
        root, title: folder and name of the data set.
        levels: folders in the root, or ``.``; the first that has all the roles is taken.
        roles: one for each path wanted: the names it goes by, relative to the level.

    Raises:
        UsageError: no level has them all; names a folder one level up or down that does.
    """
    root = Path(root).expanduser()
    if found := _found(root, levels, roles):
        return found
    wanted = " and ".join(f"'{Path(levels[0], role[0])}'" for role in roles)
    around = chain(_levels(root), islice(subfolders(root.parent), LOOKED_AT))
    near = next((place for place in around if _found(place, levels, roles)), None)
    advice = f"did you mean {near}?" if near else "give the folder that it was unpacked to."
    raise UsageError(f"{root}: {_state(root)}; {title} is known by {wanted} in its root; {advice}")


def images_in(folder: str | os.PathLike[str]) -> list[Path]:
    """As :func:`.list_images`, whose UsageError also names a folder near by that has images."""
    try:
        return list_images(folder)
    except UsageError as error:
        near = next(filter(_holds_images, _levels(Path(folder).expanduser())), None)
        if near is None:
            raise
        raise UsageError(f"{str(error).rstrip('.')}; did you mean {near}?") from None


def subfolders(folder: Path) -> list[Path]:
    """The folders directly in a folder, in alphabetical order; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except OSError:
        return []
    return [folder / name for name in names if os.path.isdir(folder / name)]  # noqa: PTH112


def _found(root: Path, levels: Sequence[str], roles: Sequence[Sequence[str]]) -> list[Path]:
    for level in levels:
        paths = [[path for name in role if _exists(path := root / level / name)] for role in roles]
        if all(paths):
            return [there[0] for there in paths]
    return []


def _exists(path: Path) -> bool:
    """Whether it is there; what may not be looked at is not."""
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises PermissionError)


def _state(root: Path) -> str:
    if not _exists(root):
        return "no such folder"
    try:
        return "not the right folder" if any(root.iterdir()) else "this folder is empty"
    except OSError as error:
        return f"cannot be listed as a folder ({error.strerror})"


def _levels(folder: Path) -> Iterator[Path]:
    """One level down, one level up, and the same name one level up or down."""
    yield from islice(subfolders(folder), LOOKED_AT)
    yield folder.parent.parent / folder.name
    for sibling in islice(subfolders(folder.parent), LOOKED_AT):
        yield sibling / folder.name
    yield folder.parent


def _holds_images(folder: Path) -> bool:
    try:
        return bool(list_images(folder))
    except UsageError:
        return False


def _natural_order(name: str) -> tuple[list[str | int], str]:
    """A sorting key that compares runs of digits as numbers."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def _is_image(entry: os.DirEntry[str]) -> bool:
    if Path(entry.name).suffix.lower() not in FORMATS or entry.name.startswith("."):
        return False
    try:
        return not entry.is_dir()
    except OSError:  # a link that leads to itself; whoever opens it is told
        return True


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    """Open a picture; a failure inside the block becomes a sentence with the file's name."""
    # Pillow refuses a truncated file; OpenCV returns the missing part as grey without a word.
    try:
        with Pillow.open(path) as picture:
            yield picture
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except UnidentifiedImageError:
        state = "empty" if path.stat().st_size == 0 else "not an image, or damaged at its start"
        raise DataError(f"{path}: the file is {state}.") from None
    except Exception as error:
        # Pillow's decoders let through whatever broken bytes cause: OSError, struct.error ...
        raise DataError(f"{path}: the image cannot be read ({error}).") from error


def _orientation(picture: Pillow.Image) -> int:
    """EXIF orientation, 1..8; 1 is upright, 5 and above swap height and width."""
    # Pillow turns a TIFF itself, and for EXIF behind the pixels it would decode a whole PNG.
    if picture.format == "TIFF" or (picture.format == "PNG" and "exif" not in picture.info):
        return 1
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except SyntaxError:  # what stands there is no EXIF
        return 1
    return orientation if orientation in range(1, 9) else 1


def _eight_bit(picture: Pillow.Image) -> Pixels:
    """Pixels of a loaded picture; 16-bit RGB became 8-bit in Pillow already."""
    if picture.mode.startswith("I"):
        values = np.array(picture)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise DataError("the pixels have more than 16 bits; store them in 8 or 16.")
        return (values >> 8).astype(np.uint8)
    if picture.mode == "F":
        raise DataError("the pixels are floating-point numbers; store them in 8 or 16 bits.")
    if picture.mode not in {"L", "RGB", "RGBA"}:
        has_alpha = "A" in picture.getbands() or "transparency" in picture.info
        colour = "RGBA" if has_alpha else "RGB"
        picture = picture.convert("L" if picture.mode == "1" else colour)
    return np.array(picture)
