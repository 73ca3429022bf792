"""Rain800 of ID-CGAN (arXiv 1701.05957)."""

import os
from functools import cached_property

from ir_lightning.data.identical import first_of_identical
from ir_lightning.data.layout import find
from ir_lightning.data.pairs import SideBySide


class Rain800(SideBySide):
    """``rain/{training,test_syn}/1.jpg``: clean on the left, rainy on the right.

    54 training pictures exist several times under different names, byte for byte; they are one
    scene, called as the first of them.

    Args:
        root: folder of ``rain``, or of ``training`` and ``test_syn``.
        split: ``training`` or ``test_syn``. ``test_nature`` has no ground truth.

    Raises:
        UsageError: no such folder.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        (folder,) = find(root, "Rain800", ("rain", "."), [split])
        super().__init__(folder, left="clean")

    def scene(self, index: int) -> str:
        """The stem of the first picture with the same bytes."""
        return self._originals[index]

    @cached_property
    def _originals(self) -> list[str]:
        return [file.stem for file in first_of_identical([each.file for each in self.pictures])]
