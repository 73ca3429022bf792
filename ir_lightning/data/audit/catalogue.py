"""What is publicly known of each data set: where to get it, what its folders should hold."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True)
class CatalogueEntry:
    """A data set, in words: what it is, who published it, what to know before using it."""

    title: str
    task: str
    composition: str
    paper: str
    source: str
    licence: str
    size: str
    pairs: dict[str, int | None]  # published, of training and test; None where unknown
    tree: str  # the files below its root
    notes: str


@cache
def catalogue() -> dict[str, CatalogueEntry]:
    """All entries, by the name that ``dataset=NAME`` takes."""
    text = files("ir_lightning.data.audit").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    entries: dict[str, Any] = yaml.safe_load(text)
    return {name: CatalogueEntry(**fields) for name, fields in entries.items()}
