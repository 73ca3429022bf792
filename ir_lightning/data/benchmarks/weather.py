"""Benchmarks of rain and haze, as their authors packed them."""

import json
import os
import re
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

from ir_lightning.data.audit.duplicates import first_of_identical
from ir_lightning.data.combining import Subset, held_out
from ir_lightning.data.image_files import find, images_in, subfolders
from ir_lightning.data.pairs import (
    FilePairs,
    PairedFolders,
    PairFiles,
    SideBySideFolder,
    SideBySidePairs,
    by_stem,
    pair_up,
)
from ir_lightning.errors import UsageError

RAIN100 = re.compile(r"^(?P<clean>no)?rain-(?P<number>\d+)(?:x\d+)?$")  # rain-001, rain-1x2 ...
DENSITIES = ("Heavy", "Medium", "Light")

# The authors' lists drop `_leftImg8bit` from the names, their download has it.
RAIN_CITYSCAPES = re.compile(
    r"^(?P<scene>.+?)(?:_leftImg8bit)?"
    r"_rain_alpha_(?P<alpha>[\d.]+)_beta_(?P<beta>[\d.]+)_dropsize_(?P<drop>[\d.]+)_pattern_\d+$"
)
WEATHER = ((0.01, 0.005, 0.01), (0.02, 0.01, 0.005), (0.03, 0.015, 0.002))  # alpha, beta, drop size
HAZY = ("hazy", "haze", "images", "input")
CLEAN = ("clear", "gt", "GT", "labels", "target")


class Rain100(FilePairs):
    """Rain100L and Rain100H (CVPR 2017): ``rain-001.png`` and ``norain-001.png``.

    Both lie in one of the ``folders``, or in ``rainy`` and ``norain`` in it.

    Raises:
        UsageError: no such folder, or an image without partner.
    """

    def __init__(self, root: str | os.PathLike[str], folders: Sequence[str]) -> None:
        roles = (("rainy", "rain", "input", "."), ("norain", "target", "."))
        rainy_folder, clean_folder = find(root, "Rain100", folders, *roles)
        rainy, clean = images_in(rainy_folder), images_in(clean_folder)
        if rainy_folder == clean_folder:
            named = [(file, name) for file in rainy if (name := RAIN100.match(file.stem))]
            rainy = [file for file, name in named if not name["clean"]]
            clean = [file for file, name in named if name["clean"]]
            if not rainy or not clean:
                counts = f"{len(rainy)} images are called rain-001 and {len(clean)} norain-001"
                raise UsageError(f"{clean_folder}: {counts}; both are needed.")

        def clean_stem(stem: str) -> str:
            name = RAIN100.match(stem)
            return f"norain-{name['number']}" if name else stem

        super().__init__(pair_up(by_stem(rainy), by_stem(clean), clean_stem, "number"))


class Rain800(SideBySideFolder):
    """Rain800 of ID-CGAN (arXiv 1701.05957): ``rain/{training,test_syn}/1.jpg``, clean on the left.

    The 700 training pictures show 368 photographs, the 100 of the test 76: many stand there several
    times, under other rain or byte for byte. Pictures of one photograph are one scene, called as
    the first of them, so that a validation part holds no photograph that is trained on, and that
    scores of one photograph do not count as independent ones.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        (folder,) = find(root, "Rain800", ("rain", "."), [split])
        super().__init__(folder, left="clean")
        self._known = photographs(split)

    def scene(self, index: int) -> str:
        """The stem of the first picture of the same photograph."""
        original = self._originals[index].stem
        return self._known.get(original, original)

    @cached_property
    def _originals(self) -> list[Path]:
        return first_of_identical([pair.files[0] for pair in self.pairs])


@cache
def photographs(split: str) -> dict[str, str]:
    """Of each picture whose photograph occurs again in ``split``: the first that shows it."""
    # Recorded on the complete benchmark: 196 groups by `ir-lightning data check rain800`, and in
    # the test the same 18 groups by it and by correlation at six scales and two crops (in a group
    # 1.00, else at most 0.89).
    text = (files(__package__) / "rain800_scenes.json").read_text(encoding="utf-8")
    groups = json.loads(text).get(split, [])
    return {str(name): str(group[0]) for group in groups for name in group}


class Rain1200(SideBySidePairs):
    """Training set of DID-MDN: ``DID-MDN-training/Rain_{Heavy,Medium,Light}/train2018new/0.jpg``.

    Three densities of rain on the same photographs (arXiv 1802.07412), rainy on the left. The
    number of the photograph is the scene; samples are called ``Heavy-0``.

    Raises:
        UsageError: no such tree.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        levels = ("DID-MDN-datasets/DID-MDN-training", "DID-MDN-training")
        roles = [[f"Rain_{density}/train2018new"] for density in DENSITIES]
        folders = find(root, "Rain1200 (DID-MDN)", levels, *roles)
        pictures = [
            PairFiles(f"{density}-{stem}", (file,), stem)
            for density, folder in zip(DENSITIES, folders, strict=True)
            for stem, file in by_stem(images_in(folder)).items()
        ]
        super().__init__(pictures, left="degraded")


class Rain1200Test(SideBySideFolder):
    """Test set of DID-MDN: ``DID-MDN-test/0.jpg`` to ``1200.jpg``, rainy on the left."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        levels = ("DID-MDN-datasets", ".")
        (folder,) = find(root, "Rain1200 (DID-MDN)", levels, ["DID-MDN-test", "TestA"])
        super().__init__(folder, left="degraded")


class Rain13K(PairedFolders):
    """Rain13K of MPRNet (CVPR 2021): 13,712 training pairs, and five test sets, re-packaged.

    ``<folder>/{input,target}``, the same name in both; the folder is ``train/Rain13K`` or
    ``test/{Test100,Rain100H,Rain100L,Test1200,Test2800}``.
    """

    def __init__(self, root: str | os.PathLike[str], folder: str) -> None:
        rainy, clean = find(root, "Rain13K", (folder,), ["input"], ["target"])
        super().__init__(rainy, clean)


class OutdoorRain(Subset):
    """Outdoor-Rain of HeavyRainRemoval (CVPR 2019): streaks behind a veil.

    ``train/{in,gt}`` hold 9,000 images, 15 to one clean: ``im_0001_s80_a04`` and ``im_0001``. The
    paper tests on a fifth of the images, so that nearly all their clean ones are trained on.

    Args:
        split: ``paper`` (8:2 of the images) or ``scene`` (8:2 of the clean images).
        part: ``train`` or ``test``.
        seed: another seed draws another fifth.

    Raises:
        UsageError: no such tree, an image without partner, or an unknown split or part.
    """

    def __init__(self, root: str | os.PathLike[str], split: str, part: str, seed: int = 0) -> None:
        if split not in {"paper", "scene"}:
            choice = "paper (by image, as published) or scene (no clean image on both sides)"
            raise UsageError(f"split={split}: choose {choice}.")
        if part not in {"train", "test"}:
            raise UsageError(f"part={part}: choose train or test.")
        roles = (("in", "input", "data"), ("gt", "target"))
        rainy, clean = find(root, "OutdoorRain", ("train", "."), *roles)
        whole = PairedFolders(rainy, clean, "regex", r"^([^_]+_[^_]+)_")
        keys = [pair.name if split == "paper" else pair.scene for pair in whole.pairs]
        test = held_out(keys, 0.2, seed)
        wanted = part == "test"
        super().__init__(whole, [i for i, key in enumerate(keys) if (key in test) == wanted])


class RainCityscapes(FilePairs):
    """RainCityscapes of DAF-Net (CVPR 2019): rain near and fog far, on Cityscapes.

    ``leftImg8bit_rain/{train,val}/<city>`` beside Cityscapes' own ``leftImg8bit``; 36 rainy images
    to one clean: three kinds of weather, twelve patterns. A scene is
    ``<city>_<sequence>_<frame>``. Clean images without rain are left aside: Cityscapes has more.

    Raises:
        UsageError: no such tree, a rainy image without partner, or a name that it does not have.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        downloads = {
            "leftImg8bit_rain": "leftImg8bit_trainval_rain",
            "leftImg8bit": "leftImg8bit_trainvaltest",
        }
        roles = [[f"{k}/{split}", f"{download}/{k}/{split}"] for k, download in downloads.items()]
        folders = find(root, "RainCityscapes", (".",), *roles)
        # Where a re-package has no cities, the images lie in the folder itself.
        rainy, clean = (
            by_stem(file for city in subfolders(folder) or [folder] for file in images_in(city))
            for folder in folders
        )
        scenes = {stem: _cityscape(stem, file) for stem, file in rainy.items()}
        stems = {stem: f"{scene}_leftImg8bit" for stem, scene in scenes.items()}
        rule = "<city>_<sequence>_<frame>_leftImg8bit"
        pairs = pair_up(rainy, clean, stems.get, rule, spare_clean=True)
        super().__init__([PairFiles(pair.name, pair.files, scenes[pair.name]) for pair in pairs])


def _cityscape(stem: str, file: Path) -> str:
    """The scene of a rainy image."""
    name = RAIN_CITYSCAPES.match(stem)
    if name is None:
        called = "_rain_alpha_A_beta_B_dropsize_D_pattern_P, as all rainy images of RainCityscapes"
        raise UsageError(f"{file}: not called ...{called} are; take it out.")
    weather = tuple(float(name[value]) for value in ("alpha", "beta", "drop"))
    if weather not in WEATHER:
        wrong = f"{file}: alpha, beta and drop size {weather}"
        known = f"RainCityscapes' three combinations, {', '.join(map(str, WEATHER))}"
        raise UsageError(f"{wrong} are none of {known}; take it out.")
    return name["scene"]


class ITS(PairedFolders):
    """RESIDE's indoor training set: ``ITS_v2/{hazy,clear}``, ten hazy images to one clear."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        hazy, clean = find(root, "RESIDE's ITS", ("ITS_v2", "ITS", "indoor"), HAZY, CLEAN)
        super().__init__(hazy, clean, "prefix")


class SOTSIndoor(PairedFolders):
    """RESIDE's indoor test set: ``SOTS/indoor/nyuhaze500/{hazy,gt}``, ten hazy images to one clear.

    The ground truth is 640 x 480, the hazy image its inner 620 x 460: the border is cropped.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        levels = ("SOTS/indoor/nyuhaze500", "SOTS/indoor", "SOTS")
        hazy, clean = find(root, "RESIDE's SOTS-indoor", levels, HAZY, CLEAN)
        super().__init__(hazy, clean, "prefix", border=10)


class SOTSOutdoor(PairedFolders):
    """RESIDE's outdoor test set: ``SOTS/outdoor/{hazy,gt}``; some share a clear image."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        hazy, clean = find(root, "RESIDE's SOTS-outdoor", ("SOTS/outdoor",), HAZY, CLEAN)
        super().__init__(hazy, clean, "prefix")


class ResideIn(FilePairs):
    """The re-package of DehazeFormer: ``RESIDE-IN/{train,test}/{hazy,GT}``.

    Each hazy image has a clear one of its own name, cropped already; the scene ends at the ``_``.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        folders = find(root, "RESIDE-IN", [f"RESIDE-IN/{split}", split], HAZY, CLEAN)
        hazy, clean = (by_stem(images_in(folder)) for folder in folders)
        pairs = pair_up(hazy, clean, lambda stem: stem, "stem")
        super().__init__([PairFiles(p.name, p.files, p.name.split("_")[0]) for p in pairs])
