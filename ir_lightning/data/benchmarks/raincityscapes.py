"""RainCityscapes of DAF-Net (CVPR 2019): rain near and fog far, on Cityscapes."""

import os
import re
from pathlib import Path

from ir_lightning.data.layout import find, images_in, subfolders
from ir_lightning.data.names import PairFiles, by_stem, pair_up
from ir_lightning.data.pairs import FilePairs
from ir_lightning.errors import UsageError

# The authors' lists drop `_leftImg8bit` from the names, their download has it.
NAME = re.compile(
    r"^(?P<scene>.+?)(?:_leftImg8bit)?"
    r"_rain_alpha_(?P<alpha>[\d.]+)_beta_(?P<beta>[\d.]+)_dropsize_(?P<drop>[\d.]+)_pattern_\d+$"
)
WEATHER = ((0.01, 0.005, 0.01), (0.02, 0.01, 0.005), (0.03, 0.015, 0.002))
"""(alpha, beta, drop size): the three values move together."""


class RainCityscapes(FilePairs):
    """``leftImg8bit_rain/{train,val}/<city>`` beside Cityscapes' own ``leftImg8bit``.

    36 rainy images to one clean: three kinds of weather, twelve patterns. A scene is
    ``<city>_<sequence>_<frame>``. Clean images without rain are left aside: Cityscapes has more.

    Args:
        root: folder of ``leftImg8bit_rain`` and ``leftImg8bit``.
        split: ``train`` or ``val``; what the paper calls test is ``val``.

    Raises:
        UsageError: no such tree, a rainy image without partner, or a name that the benchmark does
            not have.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        roles = [
            [f"{kind}/{split}", f"{download}/{kind}/{split}"]
            for kind, download in (
                ("leftImg8bit_rain", "leftImg8bit_trainval_rain"),
                ("leftImg8bit", "leftImg8bit_trainvaltest"),
            )
        ]
        rainy, clean = find(root, "RainCityscapes", (".",), *roles)
        rainy_files, clean_files = by_stem(_images(rainy)), by_stem(_images(clean))
        scenes = {stem: _scene(stem, file) for stem, file in rainy_files.items()}
        pairs = pair_up(
            rainy_files,
            clean_files,
            lambda stem: f"{scenes[stem]}_leftImg8bit",
            "<city>_<sequence>_<frame>_leftImg8bit",
            spare_clean=True,
        )
        super().__init__([PairFiles(p.name, p.degraded, p.clean, scenes[p.name]) for p in pairs])


def _images(folder: Path) -> list[Path]:
    """Of all cities, or of the folder itself where a re-package has no cities."""
    cities = subfolders(folder)
    return [file for city in cities or [folder] for file in images_in(city)]


def _scene(stem: str, file: Path) -> str:
    name = NAME.match(stem)
    if name is None:
        raise UsageError(
            f"{file}: not called ..._rain_alpha_A_beta_B_dropsize_D_pattern_P, as all rainy images "
            "of RainCityscapes are; take it out."
        )
    weather = tuple(float(name[value]) for value in ("alpha", "beta", "drop"))
    if weather not in WEATHER:
        raise UsageError(
            f"{file}: alpha, beta and drop size {weather} are none of RainCityscapes' three "
            f"combinations, {', '.join(map(str, WEATHER))}; take it out."
        )
    return name["scene"]
