"""Rain1200 of DID-MDN (arXiv 1802.07412): three densities of rain on the same photographs."""

import os

from ir_lightning.data.layout import find, images_in
from ir_lightning.data.names import by_stem
from ir_lightning.data.pairs import Picture, SideBySideFolder, SideBySidePairs

DENSITIES = ("Heavy", "Medium", "Light")


class Rain1200(SideBySidePairs):
    """Training set: ``DID-MDN-training/Rain_{Heavy,Medium,Light}/train2018new/0.jpg``.

    Rainy on the left, clean on the right: the opposite of Rain800. The same number shows the same
    photograph in all three folders, so it is the scene; samples are called ``Heavy-0``.

    Args:
        root: folder of ``DID-MDN-datasets`` or of ``DID-MDN-training``.

    Raises:
        UsageError: no such tree.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        levels = ("DID-MDN-datasets/DID-MDN-training", "DID-MDN-training")
        roles = [[f"Rain_{density}/train2018new"] for density in DENSITIES]
        folders = find(root, "Rain1200 (DID-MDN)", levels, *roles)
        pictures = [
            Picture(f"{density}-{stem}", file, stem)
            for density, folder in zip(DENSITIES, folders, strict=True)
            for stem, file in by_stem(images_in(folder)).items()
        ]
        super().__init__(pictures, left="degraded")


class Rain1200Test(SideBySideFolder):
    """Test set: ``DID-MDN-test/0.jpg`` to ``1200.jpg``, rainy on the left.

    Args:
        root: as for :class:`Rain1200`.

    Raises:
        UsageError: no such folder.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        levels = ("DID-MDN-datasets", ".")
        (folder,) = find(root, "Rain1200 (DID-MDN)", levels, ["DID-MDN-test", "TestA"])
        super().__init__(folder, left="degraded")
