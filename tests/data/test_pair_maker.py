"""Pairs that are made at once are those that are made one by one."""

import numpy as np
import pytest
import torch

from ir_lightning.data.degradations.models import HeavyRain, Noise, Rain
from ir_lightning.data.pair_maker import Compositions, PairMaker
from ir_lightning.data.samples import Sample

MIXTURE: Compositions = {"rainy": Rain(), "dim": HeavyRain(), "grainy": Noise(), "real": None}


def samples() -> list[Sample]:
    """Crops of a mixture of data sets: synthetic with and without depth, and real ones."""
    random = np.random.default_rng(0)
    made = []
    for place, dataset in enumerate(["rainy", "dim", "real", "rainy", "grainy", "dim", "rainy"]):
        clean, degraded = random.integers(0, 256, (2, 40, 40, 3)).astype(np.uint8)
        depth = random.random((40, 40), np.float32) if dataset == "dim" or place == 3 else None
        real = degraded if dataset == "real" else None
        made.append(Sample(f"{dataset}/{place}", clean, real, depth))
    return made


@pytest.mark.parametrize("input", ["degraded", "clean"])
def test_a_batch_holds_the_pairs_of_its_samples(input: str) -> None:
    make, several = PairMaker(MIXTURE, input), samples()
    seeds = [31 * place for place in range(len(several))]
    batch = make.batch(several, seeds)
    pairs = [make(sample, seed) for sample, seed in zip(several, seeds, strict=True)]
    assert batch["name"] == [pair["name"] for pair in pairs] == [s.name for s in several]
    for kind in ("clean", "degraded"):
        assert torch.equal(batch[kind], torch.stack([pair[kind] for pair in pairs]))
        in_steps = batch[kind] * 255
        assert torch.allclose(in_steps, in_steps.round(), atol=1e-4)
    assert torch.equal(batch["clean"], batch["degraded"]) is (input == "clean")


def test_a_real_pair_is_as_it_was_read() -> None:
    real = samples()[2]
    assert real.degraded is not None
    pair = PairMaker(None, "degraded")(real, seed=0)
    for kind, image in (("clean", real.clean), ("degraded", real.degraded)):
        assert np.array_equal((pair[kind] * 255).round().byte().permute(1, 2, 0), image)
