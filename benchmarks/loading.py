"""Crops per second and core: decoding, the formats of other libraries, and the store.

    python benchmarks/loading.py            # a few minutes, 3 GB in a temporary folder

256x256 paired crops, one thread, warm page cache, from

- decode:  both files of a pair are decoded whole by OpenCV for each crop;
- lmdb:    sub-images of 480x480, 240 apart, PNG in LMDB, as BasicSR prepares its training sets
           (extract_subimages.py and make_lmdb_from_imgs); one is decoded for each crop. Images
           below 480 pixels, of which BasicSR makes no sub-images, are in it whole;
- litdata: the same sub-images, as arrays, by litdata's ``optimize``: nothing is decoded;
- zarr:    whole images in chunks of 256x256, not compressed: at most four are read for each crop;
- store:   `ir-lightning data prepare`.

All cut with the same augmentation, off (crop only) and on (crop, flip, quarter turn). They take
turns, a part of a second each, so that other work on the machine slows all of them; told is the
best of several turns. The pairs are photographs that come with scikit-image, enlarged and with
noise on the degraded one. Needs `pip install -e .[benchmarks]`.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import albumentations as A
import cv2
import lmdb
import numpy as np
import torch
import zarr
from litdata import StreamingDataset, optimize

from ir_lightning.data.augment import PairedAugment
from ir_lightning.data.cache.prepare import Preparation
from ir_lightning.data.cache.store import Stored, images_of
from ir_lightning.data.image_files import write_image
from ir_lightning.data.pairs import PairedFolders
from ir_lightning.data.samples import Image, Sample
from ir_lightning.data.synthetic.photographs import Photographs

CROP, SUB_IMAGE, STEP = 256, 480, 240
KINDS = ("clean", "degraded")
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "motorcycle_left", "retina", "rocket")
TURN = 0.7  # seconds

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
        "litdata": from_litdata(pairs, root / "litdata"),
        "zarr": from_zarr(pairs, root / "zarr"),
        "store": lambda number: stored[number % len(stored)],
    }
    crop = PairedAugment(CROP, flip=False)
    augment = PairedAugment(CROP, flip=True, rotate90=True)
    with_albumentations = albumented(draws["store"])
    steps: dict[str, Callable[[int], object]] = {}
    for name, draw in draws.items():
        steps[f"{name}, crop only"] = lambda number, draw=draw: crop(draw(number), number)
        steps[f"{name}, augmented"] = lambda number, draw=draw: augment(draw(number), number)
    seconds = best(steps | {"albumentations": with_albumentations}, repeats)
    print(f"\n{title}, {CROP}x{CROP} paired crops per second and core")
    print(f"{'':10}{'crop only':>12}{'augmented':>12}{'of the store':>14}{'MB on disk':>12}")
    for name in draws:
        crop_only, augmented = (seconds[f"{name}, {how}"] for how in ("crop only", "augmented"))
        share = seconds["store, augmented"] / augmented
        folder = root / {"decode": ".", "store": "stores"}.get(name, name)
        files = [f for kind in KINDS for f in (root / kind).iterdir()]
        files = files if name == "decode" else [f for f in folder.rglob("*") if f.is_file()]
        size = sum(file.stat().st_blocks for file in files) * 512 / 1e6
        print(f"{name:10}{1 / crop_only:12.1f}{1 / augmented:12.1f}{share:13.1%}{size:12.0f}")
    print(
        f"crop, flip and turn in albumentations: {1 / seconds['albumentations']:.0f} per second "
        f"({seconds['albumentations'] * 1e3:.2f} ms; here {seconds['store, augmented'] * 1e3:.2f})"
    )


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
    with environment.begin(write=True) as transaction:
        for count, images in enumerate(sub_images(pairs)):
            for kind, image in images.items():
                bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
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


def from_litdata(pairs: PairedFolders, folder: Path) -> Draw:
    """Sub-images as litdata's samples."""
    optimize(
        fn=dict,
        inputs=list(sub_images(pairs)),
        output_dir=str(folder),
        chunk_bytes="64MB",
        num_workers=1,
        verbose=False,
    )
    samples = StreamingDataset(str(folder), shuffle=False)

    def draw(number: int) -> Sample:
        sample = samples[number % len(samples)]
        return Sample("", sample["clean"], sample["degraded"])

    return draw


def from_zarr(pairs: PairedFolders, folder: Path) -> Draw:
    """An array for each image; what is sliced out of it is read."""
    group = zarr.open_group(str(folder), mode="w")
    for index in range(len(pairs)):
        for kind, image in images_of(pairs[index]).items():
            group.create_array(
                f"{kind}{index}", data=image, chunks=(CROP, CROP, 3), compressors=None
            )
    arrays = [[group[f"{kind}{index}"] for kind in KINDS] for index in range(len(pairs))]

    def draw(number: int) -> Sample:
        return Sample("", *arrays[number % len(arrays)])

    return draw


def sub_images(pairs: PairedFolders) -> Iterator[dict[str, Image]]:
    """The windows of BasicSR's extract_subimages.py; the last ones end at the border."""
    for index in range(len(pairs)):
        images = {kind: images_of(pairs[index])[kind] for kind in KINDS}
        sides = images["clean"].shape[:2]
        if min(sides) < SUB_IMAGE:
            yield images
            continue
        tops, lefts = (
            sorted({*range(0, side - SUB_IMAGE + 1, STEP), side - SUB_IMAGE}) for side in sides
        )
        for y in tops:
            for x in lefts:
                window = slice(y, y + SUB_IMAGE), slice(x, x + SUB_IMAGE)
                yield {kind: image[window].copy() for kind, image in images.items()}


def albumented(draw: Draw) -> Callable[[int], list[Image]]:
    """The same augmentation in albumentations."""
    theirs = A.Compose(
        [A.RandomCrop(CROP, CROP), A.HorizontalFlip(p=0.5), A.RandomRotate90(p=1.0)],
        additional_targets={"degraded": "image"},
    )

    def augment(number: int) -> list[Image]:
        sample = draw(number)
        theirs.set_random_seed(number)
        cut = theirs(image=sample.clean, degraded=sample.degraded)
        return [np.ascontiguousarray(cut[name]) for name in ("image", "degraded")]

    return augment


def best(steps: Mapping[str, Callable[[int], object]], repeats: int) -> dict[str, float]:
    """Seconds per step of each, in its fastest turn, or of one step that takes longer."""
    seconds = dict.fromkeys(steps, float("inf"))
    number = 0
    for turn in range(repeats + 1):  # the first one fills the caches
        for name, step in steps.items():
            start, count = time.perf_counter(), 0
            while count == 0 or (turn and time.perf_counter() - start < TURN):
                step(number)
                number, count = number + 1, count + 1
            if turn:
                seconds[name] = min(seconds[name], (time.perf_counter() - start) / count)
    return seconds


if __name__ == "__main__":
    main()
