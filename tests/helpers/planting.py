"""Run directories of an experiment as training leaves them, with curves and galleries."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from ir_lightning.data.image_files import write_image
from ir_lightning.files import write_json
from ir_lightning.report.index import INDEX
from ir_lightning.runs.gallery import GALLERY
from ir_lightning.runs.gallery import INDEX as GALLERY_INDEX
from tests.report.test_report import REPORT, plant

WHY = (["first"], ["worst"], ["best"])
SIZE = (60, 80)  # pixels: height, width


def plant_curve(run_dir: Path, level: float, last: int = 100) -> None:
    """``metrics.csv`` with a loss every 10 iterations and a validation every 50."""
    with (run_dir / "metrics.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["iteration", "seconds", "train/generator", "val/psnr", "val/ssim"])
        for iteration in range(10, last + 1, 10):
            psnr = level + iteration / 100 if iteration % 50 == 0 else ""
            table.writerow([iteration, iteration / 10, 50 - level, psnr, ""])


def plant_gallery(
    run_dir: Path, seed: int, size: tuple[int, int] = SIZE, name: str = "image {}"
) -> None:
    """A gallery of one first, one worst and one best image; degraded and clean are everybody's."""
    entries = []
    for number, why in enumerate(WHY):
        shared, own = np.random.default_rng(number), np.random.default_rng(100 + seed)
        shape = (*size, 3)
        versions = {
            "degraded": shared.integers(0, 256, shape, dtype=np.uint8),
            "restored": own.integers(0, 256, shape, dtype=np.uint8) // 2,
            "clean": shared.integers(0, 256, shape, dtype=np.uint8),
        }
        for kind, image in versions.items():
            write_image(run_dir / GALLERY / f"{number}-{kind}.png", image)
        scores = {"degraded_psnr": 12.34 + number, "restored_psnr": 23.45 + number + seed}
        scores |= {"degraded_ssim": 0.123, "restored_ssim": 0.456}
        files = {kind: f"{number}-{kind}.png" for kind in versions}
        entries.append({"name": name.format(number), "why": why, **scores, "files": files})
    write_json(run_dir / GALLERY / GALLERY_INDEX, entries)


def plant_experiment(
    root: Path, galleries: bool = True, report: dict[str, Any] | None = None, **record: Any
) -> Path:
    """Two methods of four seeds below ``root``, of which one is missing; the report's folder."""
    runs = []
    for method, psnr in (("unet5", 25.0), ("pix2pix", 24.0)):
        for seed in range(4):
            run_dir = root / "runs" / f"method={method},seed={seed}-0123456789"
            place = f"../runs/{run_dir.name}"
            runs.append({"cell": {"method": method}, "seed": seed, "run": place})
            if (method, seed) == ("pix2pix", 3):
                continue
            plant(run_dir, psnr + 0.1 * seed, seed, **record)
            (run_dir / "config.yaml").write_text("logger: {}\n")
            plant_curve(run_dir, psnr)
            if galleries:
                plant_gallery(run_dir, seed + int(psnr))
    index = {"experiment": "table9", "title": "Table IX", "budget": "cpu"}
    write_json(root / "report" / INDEX, {**index, "report": report or REPORT, "runs": runs})
    return root / "report"
