"""RESIDE (IEEE TIP 2019): haze from depth, indoors and outdoors; ``<id>_<...>`` and ``<id>``."""

import os

from ir_lightning.data.layout import find, images_in
from ir_lightning.data.pairs import FilePairs, PairedFolders, PairFiles, by_stem, pair_up

HAZY = ("hazy", "haze", "images", "input")
CLEAN = ("clear", "gt", "GT", "labels", "target")
SOTS_BORDER = 10
"""Pixels by which the ground truth of SOTS-indoor exceeds the hazy image on every side."""


class ITS(PairedFolders):
    """Indoor training set: ``ITS_v2/{hazy,clear}``, ten hazy images to one clear.

    Args:
        root: folder of ``ITS_v2``.

    Raises:
        UsageError: no such tree, or an image without partner.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        folders = find(root, "RESIDE's ITS", ("ITS_v2", "ITS", "indoor"), HAZY, CLEAN)
        super().__init__(*folders, "prefix")


class SOTSIndoor(PairedFolders):
    """Indoor test set: ``SOTS/indoor/nyuhaze500/{hazy,gt}``, ten hazy images to one clear.

    The ground truth is 640 x 480, the hazy image its inner 620 x 460: the border is cropped.

    Args:
        root: folder of ``SOTS``.

    Raises:
        UsageError: no such tree, or an image without partner.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        levels = ("SOTS/indoor/nyuhaze500", "SOTS/indoor", "SOTS")
        hazy, clean = find(root, "RESIDE's SOTS-indoor", levels, HAZY, CLEAN)
        super().__init__(hazy, clean, "prefix", border=SOTS_BORDER)


class SOTSOutdoor(PairedFolders):
    """Outdoor test set: ``SOTS/outdoor/{hazy,gt}``, JPEG and PNG; some share a clear image.

    Args:
        root: folder of ``SOTS``.

    Raises:
        UsageError: no such tree, or an image without partner.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        hazy, clean = find(root, "RESIDE's SOTS-outdoor", ("SOTS/outdoor",), HAZY, CLEAN)
        super().__init__(hazy, clean, "prefix")


class ResideIn(FilePairs):
    """The re-package of DehazeFormer: ``RESIDE-IN/{train,test}/{hazy,GT}``.

    The clear image is stored once for each hazy one, under its name and cropped already; the scene
    is what stands before the ``_``.

    Args:
        root: folder of ``RESIDE-IN``, or that folder itself.
        split: ``train`` or ``test``.

    Raises:
        UsageError: no such tree, or an image without partner.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        folders = find(root, "RESIDE-IN", [f"RESIDE-IN/{split}", split], HAZY, CLEAN)
        hazy, clean = (by_stem(images_in(folder)) for folder in folders)
        pairs = pair_up(hazy, clean, lambda stem: stem, "stem")
        super().__init__([PairFiles(p.name, p.files, p.name.split("_")[0]) for p in pairs])
