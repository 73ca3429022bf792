"""Rain800 of ID-CGAN (arXiv 1701.05957)."""

import json
import os
from functools import cache, cached_property
from importlib.resources import files

from ir_lightning.data.audit.duplicates import first_of_identical
from ir_lightning.data.layout import find
from ir_lightning.data.pairs import SideBySideFolder


class Rain800(SideBySideFolder):
    """``rain/{training,test_syn}/1.jpg``: clean on the left, rainy on the right.

    The 700 training pictures show 368 photographs: many stand there several times, under other
    rain or byte for byte. Pictures of one photograph are one scene, called as the first of them,
    so that a validation part holds no photograph that is trained on.

    Args:
        root: folder of ``rain``, or of ``training`` and ``test_syn``.
        split: ``training`` or ``test_syn``. ``test_nature`` has no ground truth.

    Raises:
        UsageError: no such folder.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        (folder,) = find(root, "Rain800", ("rain", "."), [split])
        super().__init__(folder, left="clean")
        self._known = photographs() if split == "training" else {}

    def scene(self, index: int) -> str:
        """The stem of the first picture of the same photograph."""
        original = self._originals[index]
        return self._known.get(original, original)

    @cached_property
    def _originals(self) -> list[str]:
        return [file.stem for file in first_of_identical([each.file for each in self.pictures])]


@cache
def photographs() -> dict[str, str]:
    """Of each training picture whose photograph occurs again: the first picture that shows it.

    Found once on the complete benchmark by ``ir-lightning data check rain800``, which compares
    the clean halves; 196 groups.
    """
    text = (files(__package__) / "rain800_scenes.json").read_text(encoding="utf-8")
    return {str(name): str(group[0]) for group in json.loads(text) for name in group}
