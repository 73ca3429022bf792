"""Parts of a source's images, always the same ones."""

import numpy as np

from ir_lightning.arguments import check_whole
from ir_lightning.data.combining import DerivedSource
from ir_lightning.data.samples import Sample, Source
from ir_lightning.errors import UsageError


class Crops(DerivedSource):
    """A square of each image of a source, at a place that depends on ``seed`` and index alone.

    Names and scenes are the source's: where it shows an image several times (``draws``), its crops
    are of one scene.

    Args:
        size: of a crop, in pixels.
        seed: another seed cuts at other places.

    Raises:
        UsageError: an image is smaller than ``size``.
    """

    def __init__(self, source: Source, size: int, seed: int = 0) -> None:
        self.source = source
        self.side = check_whole("size", size, 1)
        self.seed = check_whole("seed", seed, 0)
        for index in range(len(source)):
            height, width = source.size(index)
            if min(height, width) < size:
                name = source.name(index)
                problem = f"{name} is {width} x {height} pixels, too small for crops of {size}"
                raise UsageError(f"{problem}; give a smaller size, or leave it out.")

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        whole = self.source[index]
        rng = np.random.default_rng([self.seed, index])
        top, left = (int(rng.integers(side - self.side + 1)) for side in whole.clean.shape[:2])
        part = slice(top, top + self.side), slice(left, left + self.side)
        degraded = None if whole.degraded is None else whole.degraded[part]
        depth = None if whole.depth is None else whole.depth[part]
        return Sample(whole.name, whole.clean[part], degraded, depth)

    def size(self, index: int) -> tuple[int, int]:
        self.source.name(index)  # refuses an index beyond the last
        return self.side, self.side

    def _locate(self, index: int) -> tuple[Source, int]:
        return self.source, index
