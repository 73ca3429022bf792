"""The data sets of an experiment as they lie on disk: names and headers, nothing is decoded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ir_lightning.cli.data import compose_data, located
from ir_lightning.data.samples import Source
from ir_lightning.errors import DataError, UnpairedError, UsageError
from ir_lightning.files import write_json
from ir_lightning.report.experiment import SYNTHETIC, chosen_datasets
from ir_lightning.report.kinds.inventory_table import COUNTS

PARTS = {"training": ("train", "validation"), "test": ("test",)}
"""What is published as training is cut into training and validation here."""


class CountImages:
    """Writes ``inventory.json``: a list with a dictionary of plain values for each data set.

    ``dataset``; ``stands_in``, the benchmarks that a synthetic one stands in for; ``crop`` in
    pixels; and for ``training`` and ``test`` what :func:`count_part` says. ``absent`` says why
    nothing at all is there. With ``synthetic``, the benchmarks are counted, too.
    """

    leaves = COUNTS

    def __call__(self, folder: Path, index: Mapping[str, Any]) -> None:
        """Count the data sets of the experiment whose index lies in ``folder``.

        Raises:
            UsageError: no such data set, or a key that the configuration has not.
        """
        benchmarks, names = index["datasets"], chosen_datasets(index["datasets"], index["dataset"])
        if index["dataset"] == SYNTHETIC:
            names = [*benchmarks, *names]
        counts = [count(name, benchmarks, index["overrides"]) for name in names]
        write_json(folder / self.leaves, counts)


def count(name: str, benchmarks: Mapping[str, str], overrides: Sequence[str]) -> dict[str, Any]:
    """What is known of a data set; ``benchmarks`` are each with its stand-in."""
    stands_in = [real for real, synthetic in benchmarks.items() if synthetic == name]
    crop = int(compose_data(name, overrides).dataset.crop)
    entry = {"dataset": name, "stands_in": stands_in, "crop": crop}
    try:
        _, splits = located(name, overrides, None)
    except UsageError as error:
        return {**entry, "absent": str(error)}
    return entry | {
        part: count_part([splits[key] for key in keys], crop) for part, keys in PARTS.items()
    }


def count_part(sources: Sequence[Source | UsageError | DataError], crop: int) -> dict[str, Any]:
    """How many pairs one part of a data set has, and how large their images.

    Returns:
        ``pairs``; ``held_out``, how many of them are in the second source; ``below``, how many are
        smaller than the crop; and ``sizes``, (width, height) of the smallest, the median and the
        largest image by area, in pixels. Or ``absent``: where they were expected; or ``refused``:
        what is wrong with the files that there are.
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
