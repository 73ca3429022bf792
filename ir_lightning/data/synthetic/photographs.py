"""Photographs as clean scenes: those installed with scikit-image, and a folder of one's own."""

import os
import zlib
from collections.abc import Sequence
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from ir_lightning.arguments import check_whole
from ir_lightning.data.audit.duplicates import first_of_identical
from ir_lightning.data.combining import Subset, held_out
from ir_lightning.data.pairs import FileSource, pictures_in
from ir_lightning.data.samples import Depth, Image, Sample, Source, fixed
from ir_lightning.data.synthetic import depth
from ir_lightning.data.synthetic.depth import DepthLaw, Disparity, GroundPlane
from ir_lightning.errors import UsageError

GREY = ("brick", "camera", "cell", "coins", "grass", "gravel", "moon")
PNG = (*GREY, "astronaut", "chelsea", "coffee", "ihc", "motorcycle_left", "motorcycle_right")
JPEG = ("hubble_deep_field", "retina", "rocket")
FILES = {name: f"{name}.png" for name in PNG} | {name: f"{name}.jpg" for name in JPEG}
PRINCIPAL_POINT_OFFSET = 31.086  # pixels between the motorcycle's cameras, Middlebury's calibration
PARTS = {"test": 0.1, "validation": 0.05}  # cut off one after the other; the rest is for training


class Photographs:
    """Photographs without any download.

    The motorcycle's depth is measured: structured light gave the disparity of the left view (7 %
    of it is unknown), which is moved to where the right camera sees it. All other depths are made
    up by the law ``depth``; None is :class:`~ir_lightning.data.GroundPlane`.

    With ``draws``, each appears under several degradations: ``chelsea-1``, ``chelsea-2``.

    Raises:
        UsageError: an unknown name, or no name, or no draw.
    """

    def __init__(self, names: Sequence[str], draws: int = 1, depth: DepthLaw | None = None) -> None:
        known = ", ".join(sorted(FILES))
        for name in names:
            if name not in FILES:
                raise UsageError(f"There is no photograph '{name}'; choose from {known}.")
        if not names:
            raise UsageError(f"names=[]: give one or more of {known}.")
        self.names = list(names)
        self.draws = check_whole("draws", draws, 1)
        self.depth = depth or GroundPlane()

    def __len__(self) -> int:
        return len(self.names) * self.draws

    def __getitem__(self, index: int) -> Sample:
        clean, depth = _photograph(self._photograph_name(index), self.depth)
        return Sample(self.name(index), clean, depth=depth)

    def name(self, index: int) -> str:
        name = self._photograph_name(index)
        return name if self.draws == 1 else f"{name}-{index % self.draws + 1}"

    def size(self, index: int) -> tuple[int, int]:
        with Picture.open(_folder() / FILES[self._photograph_name(index)]) as picture:
            return picture.height, picture.width

    def scene(self, index: int) -> str:
        return self._photograph_name(index).removesuffix("_left").removesuffix("_right")

    def _photograph_name(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.names[index // self.draws]


@lru_cache(maxsize=2 * len(FILES))
def _photograph(name: str, law: DepthLaw) -> tuple[Image, Depth]:
    with Picture.open(_folder() / FILES[name]) as picture:
        clean = np.array(picture.convert("RGB"))
    if name.startswith("motorcycle"):
        left = motorcycle_disparity()
        disparity = depth.filled(left if name.endswith("left") else depth.right_view(left))
        return fixed(clean, depth.from_disparity(disparity, PRINCIPAL_POINT_OFFSET))
    height, width = clean.shape[:2]
    return fixed(clean, law(height, width, zlib.crc32(name.encode())))


def motorcycle_disparity() -> Disparity:
    """(500, 741): of the left view, in pixels; infinite where it is unknown."""
    with np.load(_folder() / "motorcycle_disp.npz") as arrays:
        return np.asarray(arrays["arr_0"])


def _folder() -> Path:
    # Found, not imported: only scikit-image's files are needed.
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise UsageError("The photographs come with scikit-image; install it with pip.")
    return Path(spec.origin).parent / "data"


class Folder(FileSource):
    """All images of a folder, clean, for a composition model to degrade.

    Folders in it are not looked into. The depth is made up by the law ``depth``, a function of name
    and size; None is :class:`~ir_lightning.data.GroundPlane`.

    Raises:
        UsageError: the folder is missing or empty, or a name is ambiguous.
    """

    def __init__(self, root: str | os.PathLike[str], depth: DepthLaw | None = None) -> None:
        super().__init__(pictures_in(root))
        self.depth = depth or GroundPlane()

    def __getitem__(self, index: int) -> Sample:
        """Read one photograph; raises DataError where the file is broken."""
        (clean,) = self._read(index)
        height, width = clean.shape[:2]
        distance = self.depth(height, width, zlib.crc32(self.name(index).encode()))
        return Sample(self.name(index), clean, depth=distance)

    def scene(self, index: int) -> str:
        """The stem of the first file with the same bytes."""
        return self._originals[index].stem

    @cached_property
    def _originals(self) -> list[Path]:
        return first_of_identical([pair.files[0] for pair in self.pairs])


def scenes(
    clean_dir: str | None, part: str, built_in: Source, depth: DepthLaw | None = None
) -> Source:
    """A part (``train``, ``validation``, ``test``) of the user's own scenes, or the built-in ones.

    ``depth`` is the law of the depth of the user's.

    Raises:
        UsageError: the folder holds fewer than three different images.
    """
    if clean_dir is None:
        return built_in
    source = Folder(clean_dir, depth)
    keys = [source.scene(index) for index in range(len(source))]
    if (different := len(set(keys))) < 3:
        problem = "cannot be cut into a training, a validation and a test part; give at least three"
        raise UsageError(f"clean_dir={clean_dir}: {different} different images {problem}.")
    part_of = dict.fromkeys(keys, "train")
    for name, fraction in PARTS.items():
        rest = [key for key, owner in part_of.items() if owner == "train"]
        part_of |= dict.fromkeys(held_out(rest, fraction, seed=0), name)
    return Subset(source, [index for index, key in enumerate(keys) if part_of[key] == part])
