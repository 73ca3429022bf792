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
    """A test image of a run, as its gallery describes it."""

    name: str
    why: list[str]
    """``first``, ``worst`` or ``best``, or several."""
    scores: dict[str, dict[str, float]]
    """Of the whole image, by kind (degraded and restored) and metric."""
    files: dict[str, Path]
    """By kind: degraded, restored and clean."""


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
        # An entry of an earlier version has keys such as ``restored_psnr``.
        scores = entry.get("scores") or {
            kind: {key[len(kind) + 1 :]: entry[key] for key in entry if key.startswith(f"{kind}_")}
            for kind in KINDS[:2]
        }
        scores = {k: {m: float(x) for m, x in scores[k].items()} for k in KINDS[:2]}
        # Names only: a gallery shows nothing from outside its folder.
        files = {kind: folder / Path(str(entry["files"][kind])).name for kind in KINDS}
        return Shot(str(entry["name"]), [str(why) for why in entry["why"]], scores, files)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
