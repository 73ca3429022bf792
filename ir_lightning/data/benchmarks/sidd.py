"""SIDD: photographs by smartphones, with the noise that their sensors made (CVPR 2018)."""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat

from ir_lightning.data.image_files import find, list_images, subfolders
from ir_lightning.data.pairs import FilePairs, PairFiles, refuse_unpaired
from ir_lightning.data.samples import Sample
from ir_lightning.errors import DataError, UsageError


class SIDDPhotographs(FilePairs):
    """SIDD-Small or SIDD-Medium in sRGB: ``Data/0001_001_S6_.../{NOISY,GT}_SRGB_010.PNG``.

    A folder is one scene instance, named instance_scene_phone_ISO_shutter_temperature_light; the
    same ten scenes were taken many times, so the second field is the scene.

    Raises:
        UsageError: no such tree, or a noisy or clean image without the other.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        levels = ("SIDD_Small_sRGB_Only", "SIDD_Medium_Srgb", "SIDD_Medium", ".")
        (data,) = find(root, "SIDD", levels, ["Data"])
        instances = subfolders(data)
        if not instances:
            raise UsageError(f"{data}: no folders of scene instances in it; unpack SIDD anew.")
        super().__init__([pair for folder in instances for pair in _instance(folder)])


def _instance(folder: Path) -> list[PairFiles]:
    """The pairs in the folder of one scene instance: one in SIDD-Small, two in SIDD-Medium."""
    fields = folder.name.split("_")
    if len(fields) < 3:
        raise UsageError(f"{folder}: not called as SIDD's scene instances are; take it out.")
    files = {file.stem: file for file in list_images(folder)}
    noisy = {stem: stem.replace("NOISY", "GT") for stem in files if "NOISY" in stem}
    clean = {stem: stem.replace("GT", "NOISY") for stem in files if "GT" in stem}
    lonely = [files[stem] for stem, other in (noisy | clean).items() if other not in files]
    refuse_unpaired(lonely, folder, "partner (NOISY with GT)", lonely)
    return [
        PairFiles(f"{folder.name}_{stem[-3:]}", (files[stem], files[other]), fields[1])
        for stem, other in noisy.items()
    ]


class SIDDBlocks:
    """The SIDD validation blocks: 1,280 pairs of 256 x 256 in two MATLAB files.

    ``Validation{Noisy,Gt}BlocksSrgb.mat`` are read with the first sample, 250 MB each, and kept.
    Samples are called ``0001_01`` to ``0040_32``: image, block.

    Raises:
        UsageError: a file is missing, is no MATLAB file, or holds something else.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        roles = [[f"Validation{kind}BlocksSrgb.mat"] for kind in ("Noisy", "Gt")]
        levels = (".", "validation", "SIDD_Validation")
        self.noisy, self.clean = find(root, "SIDD's validation", levels, *roles)
        shapes = [_shape(file) for file in (self.noisy, self.clean)]
        if shapes[0] != shapes[1]:
            both = f"{self.noisy} holds {shapes[0]} values, but {self.clean} holds {shapes[1]}"
            raise UsageError(f"{both}; download them anew.")
        self.images, self.blocks, self.height, self.width = shapes[0][:4]

    def __len__(self) -> int:
        return self.images * self.blocks

    def __getitem__(self, index: int) -> Sample:
        """Cut one pair out of the arrays; raises DataError where a file is damaged."""
        place = self._place(index)
        # Copies: whoever writes into a sample must not write into the next one.
        clean, noisy = (_blocks(file)[place].copy() for file in (self.clean, self.noisy))
        return Sample(self.name(index), clean, noisy)

    def name(self, index: int) -> str:
        image, block = self._place(index)  # published results count from one
        return f"{image + 1:04d}_{block + 1:02d}"

    def size(self, index: int) -> tuple[int, int]:
        return self.height, self.width

    def scene(self, index: int) -> str:
        return f"{self._place(index)[0] + 1:04d}"

    def files(self, index: int) -> list[Path]:
        return [self.noisy, self.clean]

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return divmod(index, self.blocks)


def _shape(file: Path) -> tuple[int, ...]:
    """Of the array in a file, without reading it."""
    try:
        held = {name: (shape, kind) for name, shape, kind in whosmat(file)}
    except Exception as error:  # whatever broken bytes cause
        raise UsageError(f"{file}: not a readable MATLAB file ({error}).") from None
    shape, kind = held.get(file.stem, ((), ""))
    if len(shape) != 5 or shape[4] != 3 or kind != "uint8":
        raise UsageError(
            f"{file}: no blocks of 8-bit RGB called {file.stem} in it, but "
            f"{', '.join(held) or 'nothing'}; download it anew, and leave its name as it is."
        )
    return tuple(map(int, shape))


@lru_cache(maxsize=2)
def _blocks(file: Path) -> NDArray[np.uint8]:
    """(images, blocks of each, height, width, 3)."""
    try:
        return np.asarray(loadmat(file, variable_names=[file.stem])[file.stem])
    except Exception as error:  # whatever broken bytes cause
        raise DataError(f"{file}: the blocks cannot be read ({error}).") from error
