"""Crops of pictures for the report's page: each encoded once, within a limit of bytes.

JPEG without chroma subsampling: at the same quality, WebP (which always subsamples) smooths the
coloured noise away that the pictures are about.
"""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image as Pillow

from ir_lightning.data.image_files import read_image
from ir_lightning.data.samples import Image

SIDES = (512, 384, 256)
"""Pixels: the largest crops first; smaller ones where they would not all fit."""
QUALITY = 90
LIMIT = 11_000_000
"""Characters of all pictures of a page; its curves and tables add a few hundred thousand."""


class FullError(Exception):
    """A picture does not fit into the page any more."""


def centre(image: Image, side: int) -> Image:
    """(H, W, 3) to at most (side, side, 3) around the centre; no pixel is resampled."""
    height, width = image.shape[:2]
    top, left = (max(0, (length - side) // 2) for length in (height, width))
    return image[top : top + side, left : left + side]


@dataclass
class Album:
    """Crops by number; the same pixels are kept once.

    Attributes:
        side: of the crops, in pixels.
        limit: characters of all together.
        pictures: data: URIs.
        sizes: (width, height) of each.
    """

    side: int
    limit: int = LIMIT
    pictures: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _used: int = 0

    def add(self, paths: list[Path]) -> list[int]:
        """The numbers of files' crops: all of them are in afterwards, or none.

        Raises:
            FullError: they would exceed the limit.
            DataError: a file is missing or broken.
        """
        found = [self._encoded(path) for path in paths]
        new = {uri: size for uri, size in found if uri not in self._numbers}
        cost = sum(len(uri) for uri in new)
        if self._used + cost > self.limit:
            raise FullError
        self._used += cost
        for uri, size in new.items():
            self._numbers[uri] = len(self.pictures)
            self.pictures.append(uri)
            self.sizes.append(size)
        return [self._numbers[uri] for uri, _ in found]

    def _encoded(self, path: Path) -> tuple[str, tuple[int, int]]:
        crop = centre(read_image(path), self.side)
        file = io.BytesIO()
        # Without optimize=True: Pillow's buffer is too small for noise then.
        Pillow.fromarray(crop).save(file, "JPEG", quality=QUALITY, subsampling=0)
        return data_uri("image/jpeg", file.getvalue()), (crop.shape[1], crop.shape[0])


def data_uri(kind: str, content: bytes) -> str:
    """A file inside the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
