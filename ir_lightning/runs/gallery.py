"""``images/gallery/`` of a run on disk: a few of its test images, and what is known of them."""

import json
from pathlib import Path
from typing import Any

GALLERY = Path("images") / "gallery"
INDEX = "gallery.json"
KINDS = ("degraded", "restored", "clean")


def read_gallery(run_dir: Path) -> list[dict[str, Any]]:
    """The entries of a run's gallery; empty where there is none."""
    try:
        entries = json.loads((run_dir / GALLERY / INDEX).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return entries if isinstance(entries, list) else []
