"""RESIDE (IEEE TIP 2019): haze from depth, indoors and outdoors; ``<id>_<...>`` and ``<id>``."""

import os

from ir_lightning.data.layout import find, images_in
from ir_lightning.data.pairs import FilePairs, PairedFolders, PairFiles, by_stem, pair_up

HAZY = ("hazy", "haze", "images", "input")
CLEAN = ("clear", "gt", "GT", "labels", "target")


class ITS(PairedFolders):
    """Indoor training set: ``root/ITS_v2/{hazy,clear}``, ten hazy images to one clear.

    Raises:
        UsageError: no such tree, or an image without partner.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        folders = find(root, "RESIDE's ITS", ("ITS_v2", "ITS", "indoor"), HAZY, CLEAN)
        super().__init__(*folders, "prefix")


class SOTSIndoor(PairedFolders):
    """Indoor test set: ``root/SOTS/indoor/nyuhaze500/{hazy,gt}``, ten hazy images to one clear.

    The ground truth is 640 x 480, the hazy image its inner 620 x 460: the border is cropped.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        levels = ("SOTS/indoor/nyuhaze500", "SOTS/indoor", "SOTS")
        folders = find(root, "RESIDE's SOTS-indoor", levels, HAZY, CLEAN)
        super().__init__(*folders, "prefix", border=10)


class SOTSOutdoor(PairedFolders):
    """Outdoor test set: ``root/SOTS/outdoor/{hazy,gt}``, JPEG and PNG; some share a clear image."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        folders = find(root, "RESIDE's SOTS-outdoor", ("SOTS/outdoor",), HAZY, CLEAN)
        super().__init__(*folders, "prefix")


class ResideIn(FilePairs):
    """The re-package of DehazeFormer: ``root/RESIDE-IN/{train,test}/{hazy,GT}``.

    The clear image is stored once for each hazy one, under its name and cropped already; the scene
    is what stands before the ``_``.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        folders = find(root, "RESIDE-IN", [f"RESIDE-IN/{split}", split], HAZY, CLEAN)
        hazy, clean = (by_stem(images_in(folder)) for folder in folders)
        pairs = pair_up(hazy, clean, lambda stem: stem, "stem")
        super().__init__([PairFiles(p.name, p.files, p.name.split("_")[0]) for p in pairs])
