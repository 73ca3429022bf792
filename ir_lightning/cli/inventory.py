"""The data sets of an experiment as they are found on disk, for its index.

Images are counted and measured by the readers that training uses, by names and headers alone:
nothing is decoded, and nothing is trained.
"""

from collections.abc import Sequence
from typing import Any

from ir_lightning.cli.data_sources import compose_data, located
from ir_lightning.data.samples import Source
from ir_lightning.errors import DataError, UnpairedError, UsageError
from ir_lightning.report.experiment import SYNTHETIC, Experiment

PARTS = {"training": ("train", "validation"), "test": ("test",)}
"""What is published as training is cut into training and validation here."""


def inventory(
    experiment: Experiment, dataset: str, overrides: Sequence[str]
) -> list[dict[str, Any]]:
    """Look for every data set.

    Args:
        experiment: of kind ``inventory``; its data sets are benchmarks with their stand-ins.
        dataset: ``benchmarks``, ``synthetic`` (those and their stand-ins), or one data set.
        overrides: of the configuration, such as ``paths.data=FOLDER``.

    Returns:
        A dictionary of plain values for each: ``dataset``; ``stands_in``, the benchmarks that a
        synthetic one stands in for; ``crop`` in pixels; and for ``training`` and ``test`` what
        :func:`part_found` says. ``absent`` says why nothing at all was found.

    Raises:
        UsageError: no such data set, or a key that the configuration has not.
    """
    names = experiment.chosen_datasets(dataset)
    if dataset == SYNTHETIC:
        names = [*experiment.datasets, *names]
    return [_found(experiment, name, overrides) for name in names]


def _found(experiment: Experiment, name: str, overrides: Sequence[str]) -> dict[str, Any]:
    stands_in = [real for real, synthetic in experiment.datasets.items() if synthetic == name]
    config = compose_data(name, overrides).dataset
    crop = int(config.crop)
    entry = {"dataset": name, "stands_in": stands_in, "crop": crop}
    try:
        _, splits = located(name, overrides, None)
    except UsageError as error:
        return {**entry, "absent": str(error)}
    return entry | {
        part: part_found([splits[key] for key in keys], crop) for part, keys in PARTS.items()
    }


def part_found(sources: Sequence[Source | UsageError | DataError], crop: int) -> dict[str, Any]:
    """How many pairs there are, and how large their images.

    Args:
        sources: which are one part together, or why they could not be built.
        crop: side of a training crop, pixels.

    Returns:
        ``pairs``; ``below``, how many are smaller than the crop; and ``sizes``, (width, height) of
        the smallest, the median and the largest image by area, in pixels. Or ``absent``: where it
        was looked for in vain; or ``refused``: what is wrong with the files that there are.
    """
    there = [source for source in sources if not isinstance(source, Exception)]
    refusals = [source for source in sources if isinstance(source, Exception)]
    try:
        if refusals:
            raise refusals[0]
        sizes = [source.size(index) for source in there for index in range(len(source))]
    except (UsageError, DataError) as error:
        broken = isinstance(error, UnpairedError | DataError)
        return {"refused" if broken else "absent": str(error)}
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    shown = [ordered[place] for place in (0, len(ordered) // 2, -1)] if ordered else []
    return {
        "pairs": len(sizes),
        "held_out": len(there[1]) if len(there) > 1 else 0,
        "below": sum(min(size) < crop for size in sizes),
        "sizes": [[width, height] for height, width in shown],
    }
