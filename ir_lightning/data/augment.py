"""Paired crops, flips and turns, and whatever albumentations a user adds to them."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or its import asks the network for news

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ir_lightning.arguments import check_whole
from ir_lightning.data.samples import Sample

cv2.setNumThreads(0)  # one process per worker is all the parallelism that data loading wants

TURNS = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


class PairedAugment:
    """The same random crop, flip and quarter turn for every image of a sample.

    The result is a pure function of (sample, seed), and a copy. The crop is cut first, so of a
    memory-mapped image only its rows are read. Geometry is OpenCV's: in albumentations it costs
    several times as much.

    Args:
        crop: side of the square crop in pixels. A smaller image is padded by reflection.
        flip: mirror left-right with probability 1/2.
        rotate90: turn by 0, 90, 180 or 270 degrees. Off by default: rain does not fall sideways.
        extra: transforms of albumentations, applied to the crop, with the same parameters for the
            clean and the degraded image (and, as a mask, the depth).

    Raises:
        UsageError: the crop is no whole number from 1.
    """

    def __init__(
        self, crop: int, flip: bool = True, rotate90: bool = False, extra: Sequence[Any] = ()
    ) -> None:
        self.crop = check_whole("crop", crop, 1)
        self.flip = flip
        self.rotate90 = rotate90
        self.extra = None
        if extra:
            import albumentations as A  # it takes a second to import, and most runs do without

            targets = {"degraded": "image", "depth": "mask"}
            self.extra = A.Compose(list(extra), additional_targets=targets)

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """Augment one sample; all its images are cut to the same (crop, crop) pixels."""
        random = np.random.default_rng(seed)
        height, width = sample.clean.shape[:2]
        top = int(random.integers(max(height - self.crop, 0) + 1))
        left = int(random.integers(max(width - self.crop, 0) + 1))
        # Drawn whether or not they are used: switching one off moves no crop.
        mirrored, turns = bool(random.integers(2)), int(random.integers(4))

        def cut(image: NDArray[Any]) -> NDArray[Any]:
            piece = self._padded(image[top : top + self.crop, left : left + self.crop])
            if self.flip and mirrored:
                piece = cv2.flip(piece, 1)
            if self.rotate90 and turns:
                piece = cv2.rotate(piece, TURNS[turns - 1])
            # The two above copy already; what is still a view must not be handed on.
            return piece if piece.base is None else piece.copy()

        images = {"image": sample.clean, "degraded": sample.degraded, "depth": sample.depth}
        crops = {name: cut(image) for name, image in images.items() if image is not None}
        if self.extra is not None:
            # albumentations' own state would give two workers the same draws.
            self.extra.set_random_seed(int(random.integers(2**31)))
            crops = self.extra(**crops)
        return Sample(sample.name, crops["image"], crops.get("degraded"), crops.get("depth"))

    def _padded(self, piece: NDArray[Any]) -> NDArray[Any]:
        """At least crop x crop, what is missing added on both sides in equal parts."""
        missing = [max(self.crop - side, 0) for side in piece.shape[:2]]
        if not any(missing):
            return piece
        above, below, before, after = (part for m in missing for part in (m // 2, m - m // 2))
        border = cv2.BORDER_REFLECT_101
        return np.asarray(cv2.copyMakeBorder(piece, above, below, before, after, border))
