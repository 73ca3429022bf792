"""Crops per second and core: decoding, an LMDB of sub-images, and the store.

    python benchmarks/loading.py            # a few minutes, 1 GB in a temporary folder

256x256 paired crops, one thread, warm page cache, the best of several repeats, from

- decode: both files of a pair are decoded whole by OpenCV for each crop;
- lmdb:   sub-images of 480x480, 240 apart, PNG in LMDB, as BasicSR prepares its training sets
          (extract_subimages.py and make_lmdb_from_imgs); one is decoded for each crop. Images
          below 480 pixels, of which BasicSR makes no sub-images, are in it whole;
- store:  `ir-lightning data prepare`.

All three cut with the same augmentation, off (crop only) and on (crop, flip, quarter turn). The
pairs are photographs that come with scikit-image, enlarged and with noise on the degraded one.
Needs `pip install -e .[benchmarks]`.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import albumentations as A
import cv2
import lmdb
import numpy as np
import torch

from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.cache.prepare import Preparation
from ir_lightning.data.cache.store import Stored, images_of
from ir_lightning.data.image_files import write_image
from ir_lightning.data.pair_maker import PairMaker
from ir_lightning.data.pairs import PairedFolders
from ir_lightning.data.samples import Image, Sample
from ir_lightning.data.synthetic.photographs import Photographs

CROP, SUB_IMAGE, STEP = 256, 480, 240
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "motorcycle_left", "retina", "rocket")

Draw = Callable[[int], Sample]
"""A sample to cut from, of a random number."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jpeg-pairs", type=int, default=24)
    parser.add_argument("--png-pairs", type=int, default=3)
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for kind, size, count in (
            ("jpg", (384, 512), arguments.jpeg_pairs),
            ("png", (3000, 5328), arguments.png_pairs),
        ):
            root = Path(folder, kind)
            make_pairs(root, kind, size, count)
            measure(root, f"{count} {kind} pairs of {size[1]}x{size[0]}", arguments.repeats)


def make_pairs(root: Path, kind: str, size: tuple[int, int], count: int) -> None:
    """Photographs enlarged to ``size`` (from another corner each), and the same with noise."""
    source = Photographs(PHOTOGRAPHS)
    for index in range(count):
        random = np.random.default_rng(index)
        photograph = source[index % len(source)].clean
        side = random.integers(250, min(photograph.shape[:2]) + 1)
        part = photograph[:side, : side * size[1] // size[0]]
        clean = cv2.resize(part, size[::-1], interpolation=cv2.INTER_CUBIC)
        for folder, sigma in (("clean", 2.0), ("degraded", 10.0)):
            noise = random.standard_normal(clean.shape, np.float32) * sigma
            image = (clean + noise).round().clip(0, 255).astype(np.uint8)
            (root / folder).mkdir(parents=True, exist_ok=True)
            write_image(root / folder / f"{index:03d}.{kind}", image)


def measure(root: Path, title: str, repeats: int) -> None:
    pairs = PairedFolders(root / "degraded", root / "clean")
    preparation = Preparation(pairs, root / "stores")
    stored = Stored(pairs, preparation.run(preparation.digests(lambda _: None), lambda: None))
    draws = {
        "decode": decoded(pairs),
        "lmdb": from_lmdb(pairs, root / "lmdb"),
        "store": lambda number: stored[number % len(stored)],
    }
    print(f"\n{title}, {CROP}x{CROP} paired crops per second and core")
    print(f"{'':10}{'crop only':>12}{'augmented':>12}{'to tensor':>12}")
    rows = {name: speeds(draw, repeats) for name, draw in draws.items()}
    for name, row in rows.items():
        print(f"{name:10}" + "".join(f"{speed:12.1f}" for speed in row))
    for name in ("decode", "lmdb"):
        ratios = [ours / theirs for ours, theirs in zip(rows["store"], rows[name], strict=True)]
        print(f"store/{name:6}"[:12].ljust(12) + "".join(f"{ratio:11.1f}x" for ratio in ratios))
    share(draws["store"], repeats)


def decoded(pairs: PairedFolders) -> Draw:
    def draw(number: int) -> Sample:
        degraded, clean = (
            cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
            for file in pairs.files(number % len(pairs))
        )
        return Sample("", clean, degraded)

    return draw


def from_lmdb(pairs: PairedFolders, folder: Path) -> Draw:
    """Write the sub-images of all pairs, and read from them."""
    environment = lmdb.open(str(folder), map_size=2**34)
    count = 0
    for index in range(len(pairs)):
        images = images_of(pairs[index])
        with environment.begin(write=True) as transaction:
            for rows, columns in sub_images(images["clean"]):
                for kind in ("clean", "degraded"):
                    bgr = cv2.cvtColor(images[kind][rows, columns], cv2.COLOR_RGB2BGR)
                    png = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
                    transaction.put(f"{kind}{count}".encode(), png.tobytes())
                count += 1

    def draw(number: int) -> Sample:
        with environment.begin(write=False, buffers=True) as transaction:
            clean, degraded = (
                cv2.cvtColor(
                    cv2.imdecode(
                        np.frombuffer(
                            transaction.get(f"{kind}{number % count}".encode()), np.uint8
                        ),
                        cv2.IMREAD_COLOR,
                    ),
                    cv2.COLOR_BGR2RGB,
                )
                for kind in ("clean", "degraded")
            )
        return Sample("", clean, degraded)

    return draw


def sub_images(image: Image) -> list[tuple[slice, slice]]:
    """The windows of BasicSR's extract_subimages.py; the last ones end at the border."""
    if min(image.shape[:2]) < SUB_IMAGE:
        return [(slice(None), slice(None))]
    tops, lefts = (
        sorted({*range(0, side - SUB_IMAGE + 1, STEP), side - SUB_IMAGE})
        for side in image.shape[:2]
    )
    return [(slice(y, y + SUB_IMAGE), slice(x, x + SUB_IMAGE)) for y in tops for x in lefts]


def speeds(draw: Draw, repeats: int) -> list[float]:
    """Per second: crops, augmented crops, augmented crops made into tensors."""
    crop = PairedAugment(CROP, flip=False)
    augment = PairedAugment(CROP, flip=True, rotate90=True)
    make = PairMaker(None, "degraded")
    return [
        1 / best(lambda number: crop(draw(number), number), repeats),
        1 / best(lambda number: augment(draw(number), number), repeats),
        1 / best(lambda number: make(augment(draw(number), number), number), repeats),
    ]


def share(draw: Draw, repeats: int) -> None:
    """What the same augmentation takes in albumentations, from the store."""
    theirs = A.Compose(
        [A.RandomCrop(CROP, CROP), A.HorizontalFlip(p=0.5), A.RandomRotate90(p=1.0)],
        additional_targets={"degraded": "image"},
    )

    def augment(number: int) -> list[Image]:
        sample = draw(number)
        theirs.set_random_seed(number)
        cut = theirs(image=sample.clean, degraded=sample.degraded)
        return [np.ascontiguousarray(cut[name]) for name in ("image", "degraded")]

    own = PairedAugment(CROP, flip=True, rotate90=True)
    ours = best(lambda number: own(draw(number), number), repeats)
    other = best(augment, repeats)
    print(
        f"crop, flip and turn in albumentations: {1 / other:.0f} per second "
        f"({other * 1e3:.2f} ms; here {ours * 1e3:.2f} ms)"
    )


def best(step: Callable[[int], object], repeats: int, seconds: float = 0.7) -> float:
    """Seconds per step in the fastest of several repeats of ``seconds`` each, or of one step."""
    step(0)
    times = []
    number = 0
    for _ in range(repeats):
        start, steps = time.perf_counter(), 0
        while steps == 0 or time.perf_counter() - start < seconds:
            step(number)
            number, steps = number + 1, steps + 1
        times.append((time.perf_counter() - start) / steps)
    return min(times)


if __name__ == "__main__":
    main()
