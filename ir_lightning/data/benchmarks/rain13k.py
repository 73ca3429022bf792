"""Rain13K of MPRNet (CVPR 2021): 13,712 training pairs, and five known test sets, re-packaged."""

import os

from ir_lightning.data.layout import find
from ir_lightning.data.pairs import PairedFolders


class Rain13K(PairedFolders):
    """``train/Rain13K/{input,target}`` or ``test/<set>/{input,target}``, the same name in both.

    Args:
        root: folder of ``train`` and ``test``.
        folder: ``train/Rain13K``, ``test/Test100``, ``test/Rain100H``, ``test/Rain100L``,
            ``test/Test1200`` or ``test/Test2800``.

    Raises:
        UsageError: no such tree, or an image without partner.
    """

    def __init__(self, root: str | os.PathLike[str], folder: str) -> None:
        rainy, clean = find(root, "Rain13K", (folder,), ["input"], ["target"])
        super().__init__(rainy, clean)
