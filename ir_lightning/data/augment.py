"""Paired crops and flips: one adapter around albumentations."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or its import asks the network for news

import albumentations as A
import cv2

from ir_lightning.data.source import Sample

cv2.setNumThreads(0)  # one process per worker is all the parallelism that data loading wants


class PairedAugment:
    """The same random crop, flip and quarter turn for every image of a sample.

    The result is a pure function of (sample, seed): each call reseeds the transform, because
    albumentations' own state would give two workers the same crops.

    Args:
        crop: side of the square crop in pixels. A smaller image is first padded by reflection.
        flip: mirror left-right with probability 1/2.
        rotate90: turn by 0, 90, 180 or 270 degrees. Off by default: rain does not fall sideways.
    """

    def __init__(self, crop: int, flip: bool = True, rotate90: bool = False) -> None:
        self.crop = crop
        steps: list[A.BasicTransform] = [
            A.RandomCrop(crop, crop, pad_if_needed=True, border_mode=cv2.BORDER_REFLECT_101)
        ]
        if flip:
            steps.append(A.HorizontalFlip(p=0.5))
        if rotate90:
            steps.append(A.RandomRotate90(p=1.0))
        self.transform = A.Compose(steps, additional_targets={"degraded": "image", "depth": "mask"})

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """Augment one sample; every image of it is cut at the same place.

        Returns:
            A sample with (crop, crop) images.
        """
        images = {"image": sample.clean, "degraded": sample.degraded, "depth": sample.depth}
        self.transform.set_random_seed(seed)
        cut = self.transform(**{name: image for name, image in images.items() if image is not None})
        return Sample(sample.name, cut["image"], cut.get("degraded"), cut.get("depth"))
