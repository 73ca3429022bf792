"""Trained generators for use from Python: arrays in, arrays of the same kind out; and scores."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ir_lightning.errors import UsageError
from ir_lightning.metrics.protocols import protocol_named
from ir_lightning.metrics.scoring import Metric, score_images
from ir_lightning.metrics.similarity import PSNR, SSIM
from ir_lightning.networks.tiling import check_tiles, restore_tiled
from ir_lightning.training.weights import load_generator

Array = NDArray[Any]
"""(H, W), (H, W, 1), (H, W, 3) or (H, W, 4); uint8, or floating point in [0, 1]."""


def load(
    run_or_weights: str | os.PathLike[str],
    device: str = "auto",
    tile: int | None = None,
    overlap: int = 32,
    trust: Sequence[str] = (),
    bf16: bool = False,
) -> "Restorer":
    """Load a run directory or its ``generator.safetensors``.

    Args:
        run_or_weights: the directory or the file.
        device: ``auto`` (a GPU if there is one), or any device of torch.
        tile, overlap, bf16: see :class:`Restorer`.
        trust: packages of your own, or of somebody whom you trust, whose classes may be built.

    Raises:
        UsageError: nothing to load there, contents that are refused, or no such device.
        DataError: the weights file is damaged.
    """
    where = torch_device(device)
    return Restorer(load_generator(run_or_weights, where, trust), where, tile, overlap, bf16)


class Restorer:
    """Restores images with a generator.

    Args:
        generator: (1, 3, h, w) in [0, 1] to the same, in evaluation mode on ``device``.
        device: where the generator is.
        tile: largest height and width that the generator gets; None for whole images. Tiles bound
            the memory, but a network that normalises by the statistics of its whole input, as
            instance norm does, then sees those of a tile.
        overlap: pixels that neighbouring tiles share.
        bf16: multiply and add in bfloat16, which is quicker and needs half the memory where the
            device has instructions for it, and moves an 8-bit value by 1 here and there; weights
            and the result stay float32.
    """

    def __init__(
        self,
        generator: nn.Module,
        device: torch.device,
        tile: int | None = None,
        overlap: int = 32,
        bf16: bool = False,
    ) -> None:
        if tile is not None:
            check_tiles(tile, overlap)
        self.bf16 = bf16
        self.generator, self.device = generator, device
        self.tile, self.overlap = tile, overlap

    def __call__(self, degraded: Array) -> Array:
        """Restore one image of any size; returns an array of the same shape and type.

        Args:
            degraded: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); uint8, or floats in [0, 1]. A grey
                image is restored as three equal channels and averaged; alpha stays as it is.

        Raises:
            UsageError: another shape, type or range of values, or too little memory on the device.
        """
        _refuse_unrestorable(degraded)
        colour = np.atleast_3d(degraded)[..., :3]
        restored = self._restore(_to_tensor(colour)).cpu()
        if colour.shape[2] == 1:
            restored = restored.mean(dim=1, keepdim=True)
        result = _to_array(restored, degraded.dtype)
        if degraded.shape[2:] == (4,):
            result = np.concatenate([result, degraded[..., 3:]], axis=2)
        return result.reshape(degraded.shape)

    def _restore(self, degraded: Tensor) -> Tensor:
        try:
            with torch.inference_mode():
                if self.tile is None:
                    return self._generate(degraded)
                return restore_tiled(self._generate, degraded, self.tile, self.overlap)
        except torch.OutOfMemoryError:
            height, width = degraded.shape[-2:]
            raise UsageError(
                f"{width} x {height} pixels do not fit into the memory of {self.device}: "
                "choose a tile, or a smaller one."
            ) from None

    def _generate(self, degraded: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            restored: Tensor = self.generator(degraded.to(self.device)).float().clamp(0, 1)
        if restored.shape != degraded.shape:
            raise UsageError(
                f"The network makes {tuple(restored.shape)} of {tuple(degraded.shape)}: "
                "it is no restorer of images."
            )
        return restored


def score(
    restored: Array,
    clean: Array,
    protocol: str = "rgb8",
    metrics: Mapping[str, Metric] | None = None,
) -> dict[str, float]:
    """Score a restored image as `ir-lightning score` and every run do.

    Args:
        restored, clean: (H, W) or (H, W, 3) of one size; uint8, or floats in [0, 1].
        protocol: ``rgb8`` or ``y-matlab``.
        metrics: by name; PSNR in dB and SSIM if None. One that the protocol rules out is left out.

    Raises:
        UsageError: the arrays are no images, their sizes differ, or there is no such protocol.
    """
    for image in (restored, clean):
        _refuse_unrestorable(image)
    ours, true = (_to_tensor(np.atleast_3d(image)[..., :3]) for image in (restored, clean))
    chosen: Mapping[str, Metric] = {"psnr": PSNR(), "ssim": SSIM()} if metrics is None else metrics
    scores = score_images(ours, true, protocol_named(protocol), chosen)
    return {name: value.item() for name, value in scores.items()}


def torch_device(name: str) -> torch.device:
    """``auto`` or a device of torch; a UsageError if the machine has no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):  # the latter: torch was built without CUDA
        raise UsageError(f"device={name}: not on this machine; choose auto or cpu.") from None
    return device


def _refuse_unrestorable(image: Array) -> None:
    if image.ndim not in {2, 3} or image.shape[2:] not in {(), (1,), (3,), (4,)} or not image.size:
        raise UsageError(
            f"An array of shape {image.shape} is no image: use (H, W), (H, W, 3) or (H, W, 4)."
        )
    if image.dtype != np.uint8 and not np.issubdtype(image.dtype, np.floating):
        raise UsageError(f"Values of type {image.dtype}: use uint8, or floats in [0, 1].")
    if image.dtype != np.uint8 and not (image.min() >= 0 and image.max() <= 1):
        raise UsageError(
            f"Floating-point values from {image.min()} to {image.max()}: scale them to [0, 1]."
        )


def _to_tensor(colour: Array) -> Tensor:
    """(H, W, 1 or 3) to (1, 3, H, W), float32 in [0, 1]."""
    planes = torch.from_numpy(np.ascontiguousarray(colour.transpose(2, 0, 1)[None]))
    scaled = planes.float().div(255) if colour.dtype == np.uint8 else planes.float()
    return scaled.expand(1, 3, *scaled.shape[2:])


def _to_array(image: Tensor, dtype: np.dtype[Any]) -> Array:
    """(1, C, H, W) to (H, W, C); 8-bit values are rounded as the scoring protocols round them."""
    planes = image[0].permute(1, 2, 0)
    if dtype == np.uint8:
        return planes.mul(255).round().to(torch.uint8).numpy()
    return planes.numpy().astype(dtype)
