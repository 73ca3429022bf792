"""Outdoor-Rain of HeavyRainRemoval (CVPR 2019): streaks behind a veil."""

import os

from ir_lightning.data.combining import Subset, held_out
from ir_lightning.data.layout import find
from ir_lightning.data.pairs import PairedFolders
from ir_lightning.errors import UsageError


class OutdoorRain(Subset):
    """``train/{in,gt}``: 9,000 images, 15 to one clean: ``im_0001_s80_a04`` and ``im_0001``.

    The paper tests on a fifth of them, drawn image by image, so that nearly every clean image of
    the test set is in the training set too. The split by scene has the same size without that.

    Args:
        root: folder of ``train``, or of ``in`` and ``gt``.
        split: ``paper`` (8:2 of the images) or ``scene`` (8:2 of the clean images).
        part: ``train`` or ``test``.
        seed: another seed draws another fifth.

    Raises:
        UsageError: no such tree, an image without partner, or an unknown split or part.
    """

    def __init__(self, root: str | os.PathLike[str], split: str, part: str, seed: int = 0) -> None:
        if split not in {"paper", "scene"}:
            raise UsageError(
                f"split={split}: choose paper (by image, as published) or scene (no clean image "
                "on both sides)."
            )
        if part not in {"train", "test"}:
            raise UsageError(f"part={part}: choose train or test.")
        rainy, clean = find(
            root, "OutdoorRain", ("train", "."), ("in", "input", "data"), ("gt", "target")
        )
        whole = PairedFolders(rainy, clean, "regex", r"^([^_]+_[^_]+)_")
        key = whole.name if split == "paper" else whole.scene
        keys = [key(index) for index in range(len(whole))]
        test = held_out(keys, 0.2, seed)
        wanted = part == "test"
        super().__init__(whole, [i for i, each in enumerate(keys) if (each in test) == wanted])
