"""How the synthetic degradations compare with the real ones, in numbers and in pictures.

    python -m benchmarks.degradations --data FOLDER                    # the tables, on the screen
    python -m benchmarks.degradations --data FOLDER --write            # and in docs/degradations.md
    python -m benchmarks.degradations --data FOLDER --sheet FILE.png   # clean, real, ours
    python -m benchmarks.degradations --scenes docs/degradations.jpg   # needs no data

FOLDER holds any of sidd, rain800, reside and outdoorrain (or the samples sidd_small_256,
sots_indoor and outdoor_rain_samples). Each clean image is degraded by the model of ``dataset=NAME``
and by the one of 0.1.0; the same code measures them and the real image. The sheet shows images of
the benchmarks: keep it out of the repository.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image as Picture

from benchmarks.degradation_statistics import STATISTICS, Floats, Statistics
from ir_lightning.build import build
from ir_lightning.data.benchmarks.sidd import SIDDPhotographs
from ir_lightning.data.benchmarks.weather import OutdoorRain, Rain800, SOTSIndoor
from ir_lightning.data.combining import scenes_first
from ir_lightning.data.degradations.degradation import Degradation
from ir_lightning.data.degradations.models import Haze, HeavyRain, Noise, Rain
from ir_lightning.data.pairs import PairedFolders
from ir_lightning.data.samples import Sample, Source
from ir_lightning.data.synthetic.depth import DepthLaw, GroundPlane, Incline
from ir_lightning.errors import UsageError
from ir_lightning.launch.config import load_config

PAGE = Path(__file__).parents[1] / "docs" / "degradations.md"
BEGIN, END = "<!-- tables: made by benchmarks/degradations.py -->", "<!-- end of the tables -->"
LARGEST = 1024  # pixels of a side; of larger images the middle is measured
DEGRADED = 60  # images of ours at least, each clean one under as many draws as that takes

Reader = Callable[[Path], Source]


@dataclass(frozen=True)
class Comparison:
    """A synthetic data set and the benchmark that it stands for."""

    dataset: str
    benchmark: str
    images: int  # at most so many
    readers: Sequence[Reader]  # the first whose files are there
    former: Degradation  # what the data set was in 0.1.0


COMPARISONS = (
    Comparison(
        *("noise", "SIDD", 100),
        (
            lambda root: SIDDPhotographs(root / "sidd"),
            lambda root: SIDDPhotographs(root / "sidd_small_256"),
        ),
        Noise(),
    ),
    # The 100 test pictures show 76 photographs.
    Comparison(
        "rain", "Rain800", 76, (lambda root: Rain800(root / "rain800", "test_syn"),), Rain()
    ),
    Comparison(
        *("haze", "SOTS-indoor", 100),
        (
            lambda root: SOTSIndoor(root / "reside"),
            lambda root: _folders(root / "sots_indoor", "hazy", "GT", "stem"),
        ),
        Haze(),
    ),
    Comparison(
        *("heavy_rain", "Outdoor-Rain", 100),
        (
            lambda root: OutdoorRain(root / "outdoorrain", "scene", "test"),
            lambda root: _folders(root / "outdoor_rain_samples", "in", "gt", "regex"),
        ),
        HeavyRain(),
    ),
)


def _folders(root: Path, degraded: str, clean: str, rule: str) -> Source:
    pattern = r"^([^_]+_[^_]+)_" if rule == "regex" else None
    return PairedFolders(root / degraded, root / clean, rule, pattern)


def real_pairs(comparison: Comparison, root: Path) -> Iterator[tuple[Floats, Floats]]:
    """Clean and degraded images of the benchmark, of as many scenes as can be; none if absent."""
    for reader in comparison.readers:
        try:
            source = reader(root)
        except UsageError:
            continue
        for index in sorted(scenes_first(source)[: comparison.images]):
            sample = source[index]
            assert sample.degraded is not None
            yield _middle(sample.clean), _middle(sample.degraded)
        return


def _middle(image: NDArray[np.uint8]) -> Floats:
    top, left = (max(0, side - LARGEST) // 2 for side in image.shape[:2])
    return image[top : top + LARGEST, left : left + LARGEST].astype(np.float32) / 255


def model_of(dataset: str) -> Degradation:
    """The composition model of ``dataset=NAME``."""
    config = OmegaConf.to_container(load_config([f"dataset={dataset}"]).dataset, resolve=True)
    assert isinstance(config, dict)
    model: Degradation = build(config["composition"], "dataset.composition")
    return model


def degraded(model: Degradation, law: DepthLaw, clean: Floats, seed: int) -> Floats:
    """A clean image, degraded and stored in 8 bits."""
    depth = torch.from_numpy(law(*clean.shape[:2], seed))[None, None]
    planes = torch.from_numpy(np.ascontiguousarray(clean.transpose(2, 0, 1)))[None]
    made = model(planes, depth, seed=[seed])[0].numpy().transpose(1, 2, 0)
    return np.asarray(np.round(made * 255) / 255, np.float32)


def table(comparison: Comparison, root: Path) -> list[str]:
    """Lines of markdown; none where the benchmark is not there."""
    measure = STATISTICS[comparison.dataset]
    pairs = list(real_pairs(comparison, root))
    if not pairs:
        return []
    real = [measure(*pair) for pair in pairs]

    draws = math.ceil(DEGRADED / len(pairs))

    def made(model: Degradation, law: DepthLaw) -> list[Statistics]:
        return [
            measure(clean, degraded(model, law, clean, 1000 * draw + place))
            for place, (clean, _) in enumerate(pairs)
            for draw in range(draws)
        ]

    ours = made(model_of(comparison.dataset), Incline())
    former = made(comparison.former, GroundPlane())
    title = f"## `{comparison.dataset}` and {comparison.benchmark}: {len(pairs)} images"
    lines = [title, "", "| statistic | real | ours | inside | 0.1.0 |", "|---|---|---|---|---|"]
    for name in real[0]:
        low, middle, high = _range(real, name)
        found = _range(ours, name)
        inside = "yes" if low <= found[1] <= high else "**no**"
        cells = [f"**{b:.2f}** ({a:.2f} to {c:.2f})" for a, b, c in ((low, middle, high), found)]
        lines.append(
            f"| {name} | {cells[0]} | {cells[1]} | {inside} | {_range(former, name)[1]:.2f} |"
        )
    return [*lines, ""]


def _range(rows: Sequence[Statistics], name: str) -> tuple[float, float, float]:
    """10 %, median and 90 % over images."""
    low, middle, high = np.quantile([row[name] for row in rows], [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)


def sheet(root: Path, path: Path, rows: int = 6, height: int = 200, width: int = 280) -> None:
    """For each degradation, two columns of clean | real | ours, cut to one size."""
    blocks = []
    for comparison in COMPARISONS:
        pairs = list(real_pairs(comparison, root))
        chosen = np.linspace(0, len(pairs) - 1, min(2 * rows, len(pairs))).round().astype(int)
        model, strips = model_of(comparison.dataset), []
        for place in chosen:
            clean, real = pairs[place]
            ours = degraded(model, Incline(), clean, 1000 + int(place))
            strips.append(np.hstack([_fit(i, height, width) for i in (clean, real, ours)]))
        strips += [np.ones_like(strips[0])] * (len(strips) % 2)
        columns = [np.vstack(strips[k::2]) for k in (0, 1)]
        blocks.append(np.hstack(columns))
    _write(path, np.vstack(blocks))


def _fit(image: Floats, height: int, width: int) -> Floats:
    """The middle of an image, made smaller if it is more than twice as large."""
    scale = max(height / image.shape[0], width / image.shape[1], 0.5)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = (small.shape[0] - height) // 2, (small.shape[1] - width) // 2
    return np.asarray(small[top : top + height, left : left + width], np.float32)


SHOWN = ("noise", "rain", "rain_strong", "rain_density", "haze", "rain_haze", "heavy_rain")


def scenes(path: Path, side: int = 128) -> None:
    """Test scenes under every synthetic degradation: a row a scene, the clean one first."""
    rows = []
    for name in ("coffee", "grass-1", "leaves-2-3", "leaves-2-17"):
        row: list[Floats] = []
        for dataset in SHOWN:
            config = OmegaConf.to_container(
                load_config([f"dataset={dataset}"]).dataset, resolve=True
            )
            assert isinstance(config, dict)
            source = build(config["test"], "dataset.test")
            sample: Sample = next(source[i] for i in range(len(source)) if source.name(i) == name)
            model = build(config["composition"], "dataset.composition")
            clean = sample.clean.astype(np.float32) / 255
            assert sample.depth is not None
            planes = torch.from_numpy(clean.transpose(2, 0, 1).copy())[None]
            made = model(planes, torch.from_numpy(sample.depth.copy())[None, None], seed=[11])
            images = [made[0].numpy().transpose(1, 2, 0)]
            row += [_centre(image, side) for image in ([] if row else [clean]) + images]
        rows.append(np.hstack(row))
    _write(path, np.vstack(rows))


def _centre(image: Floats, side: int) -> Floats:
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _write(path: Path, image: Floats) -> None:
    Picture.fromarray(np.rint(image * 255).astype(np.uint8)).save(path, quality=85)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the benchmarks")
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    parser.add_argument("--sheet", type=Path, help="picture of clean, real and ours")
    parser.add_argument("--scenes", type=Path, help="picture of synthetic scenes")
    arguments = parser.parse_args()
    if arguments.scenes:
        scenes(arguments.scenes)
    if not arguments.data:
        return
    lines = [line for comparison in COMPARISONS for line in table(comparison, arguments.data)]
    print("\n".join(lines))
    if arguments.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text("\n".join([before + BEGIN, "", *lines, END]) + after, encoding="utf-8")
    if arguments.sheet:
        sheet(arguments.data, arguments.sheet)


if __name__ == "__main__":
    main()
