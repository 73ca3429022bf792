"""``images/gallery/`` of a run on disk: a few of its test images, and what is known of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GALLERY = Path("images") / "gallery"
INDEX = "gallery.json"
KINDS = ("degraded", "restored", "clean")


@dataclass(frozen=True)
class Shot:
    """A test image of a run, as its gallery describes it.

    Attributes:
        name: of the test image.
        why: ``first``, ``worst`` or ``best``, or several.
        scores: of the whole image, by kind (degraded and restored) and metric.
        files: by kind: degraded, restored and clean.
    """

    name: str
    why: list[str]
    scores: dict[str, dict[str, float]]
    files: dict[str, Path]


def read_gallery(run_dir: Path) -> list[Shot]:
    """The entries of a run's gallery; those that are none are left out."""
    try:
        entries = json.loads((run_dir / GALLERY / INDEX).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    shots = [_shot(run_dir / GALLERY, entry) for entry in entries]
    return [shot for shot in shots if shot]


def _shot(folder: Path, entry: Any) -> Shot | None:
    try:
        scores = entry.get("scores") or _former_scores(entry)
        scores = {k: {m: float(x) for m, x in scores[k].items()} for k in KINDS[:2]}
        # Names only: a gallery shows nothing from outside its folder.
        files = {kind: folder / Path(str(entry["files"][kind])).name for kind in KINDS}
        return Shot(str(entry["name"]), [str(why) for why in entry["why"]], scores, files)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _former_scores(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Those of an entry of an earlier version, which had a key ``restored_psnr``."""
    keys = {kind: [key for key in entry if key.startswith(f"{kind}_")] for kind in KINDS[:2]}
    return {kind: {key[len(kind) + 1 :]: entry[key] for key in keys[kind]} for kind in keys}
