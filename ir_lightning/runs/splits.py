"""Which images a run was trained on, chosen by and judged by."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ir_lightning.data.source import Source
from ir_lightning.files import write_json

SPLITS = "splits.json"


def names_of(sources: Mapping[str, Source]) -> dict[str, list[str]]:
    """The names of every split's images, in order."""
    return {split: [s.name(i) for i in range(len(s))] for split, s in sources.items()}


def write_splits(run_dir: Path, names: Mapping[str, list[str]]) -> dict[str, Any]:
    """Write ``splits.json`` with all names.

    Returns:
        For the record, per split: ``images`` and ``sha256`` of the names. Two runs whose hashes
        agree were validated and tested on the same images.
    """
    write_json(run_dir / SPLITS, dict(names))
    return {
        split: {
            "images": len(listed),
            "sha256": hashlib.sha256("\n".join(listed).encode()).hexdigest(),
        }
        for split, listed in names.items()
    }
