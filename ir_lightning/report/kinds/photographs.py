"""Photographs restored by each method, looked at closely: the report of kind ``photographs``.

Of each method, the first seed that has finished restores. The area that is enlarged is chosen by
the rule of :mod:`~ir_lightning.report.kinds.zoom`, which sees no method's output, or stands in the
experiment's file as ``areas: {name: [left, top, side]}``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ir_lightning.data.samples import Image
from ir_lightning.errors import UsageError
from ir_lightning.inference import load
from ir_lightning.report.content import Content
from ir_lightning.report.figures.photographs import draw
from ir_lightning.report.kinds import undegraded as untouched
from ir_lightning.report.kinds.photograph_source import Photograph, of_test_set, real, run_config
from ir_lightning.report.kinds.zoom import LEAST, Area, choose, given, touched
from ir_lightning.report.runs import Results, Run


@dataclass(frozen=True)
class Zoom:
    """An area of a photograph as each method restores it.

    Attributes:
        photograph: the whole.
        area: what is enlarged.
        restored: (side, side, 3) by method.
    """

    photograph: Photograph
    area: Area
    restored: dict[str, Image]

    def change(self, method: str) -> float:
        """Mean absolute difference between restored and rainy in the area, grey levels of 255."""
        before = self.area.of(self.photograph.degraded).astype(float)
        return float(np.abs(self.restored[method].astype(float) - before).mean())

    @property
    def untouched(self) -> float | None:
        """Share of the area's pixels that were not degraded; None for a real photograph."""
        if self.photograph.clean is None:
            return None
        images = (self.photograph.degraded, self.photograph.clean)
        return 1 - float(touched(*(self.area.of(image) for image in images)).mean())


def photographs(results: Results, photos: Path | None = None) -> Content:
    """Restore, draw and judge.

    Args:
        results: of an experiment of kind ``photographs``.
        photos: a folder of photographs, instead of the one in the experiment's index.

    Raises:
        UsageError: the photographs or a run's weights are not there, or an area is not inside.
        DataError: a photograph is broken.
    """
    runs = {
        untouched.label(results, group): group.finished[0]
        for group in results.groups
        if group.finished
    }
    table, verdicts = untouched.table(results), untouched.judge_untouched(results)
    if not runs:
        return Content(table.files(), verdicts, notes=["No method has a finished run yet."])
    settings = results.report["photographs"]
    if photos is not None:
        settings = {**settings, "folder": str(photos), "areas": {}}  # those are of others
    what, chosen = _chosen(settings, results.budget, next(iter(runs.values())))
    zooms = _restored(runs, chosen, settings)
    caption = _caption(results, what, zooms, list(settings.get("areas") or {}))
    figures = draw(results.folder, zooms, [results.title, *caption])
    return Content(table.files(), verdicts, figures, [_change(zoom) for zoom in zooms])


def _chosen(settings: dict[str, Any], budget: str, run: Run) -> tuple[str, list[Photograph]]:
    """What the photographs are, in words, and they themselves."""
    folder, count = settings.get("folder"), int(settings["count"][budget])
    if folder is None:
        return of_test_set(run, count)
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise UsageError(f"{place}: there are no photographs here; give their folder by --photos.")
    names = [str(name) for name in settings.get("areas") or {}]
    return f"real photographs of {place.name}", real(place, count, names)


def _restored(
    runs: dict[str, Run], chosen: Sequence[Photograph], settings: dict[str, Any]
) -> list[Zoom]:
    zooms = [Zoom(photograph, _area(photograph, settings), {}) for photograph in chosen]
    for method, run in runs.items():
        restorer, evaluation = load(run.directory), run_config(run).get("evaluation") or {}
        limit = evaluation.get("whole_pixels")
        for zoom in zooms:
            image = zoom.photograph.degraded
            whole = limit is None or image.shape[0] * image.shape[1] <= limit
            restorer.tile = None if whole else evaluation["tile"]
            restorer.overlap = evaluation.get("overlap", restorer.overlap)
            zoom.restored[method] = zoom.area.of(restorer(image))
    return zooms


def _area(photograph: Photograph, settings: dict[str, Any]) -> Area:
    areas = {str(name): area for name, area in (settings.get("areas") or {}).items()}
    for name in (photograph.name, Path(photograph.name).stem):
        if name in areas:
            return given(name, areas[name], photograph.degraded)
    return choose(photograph.degraded, photograph.clean, int(settings["side"]))


def _caption(
    results: Results, what: str, zooms: Sequence[Zoom], by_hand: Sequence[object]
) -> list[str]:
    shares = [zoom.untouched for zoom in zooms if zoom.untouched is not None]
    rain = "rain is guessed by thin bright structure"
    if shares:
        rain = f"untouched pixels in the areas: {min(shares):.0%} to {max(shares):.0%}"
    chosen = f"; by hand: {', '.join(map(str, by_hand))}" if by_hand else ""
    trained = next(run.record["dataset"] for group in results.groups for run in group.finished)
    return [
        f"budget={results.budget}, trained on {trained}; {what}; "
        "first finished seed of each method",
        f"enlarged: of the {LEAST:.0%} of windows with the least rain, the one with most detail "
        f"({rain}){chosen}",
        "numbers: mean absolute change of the rainy area, in grey levels of 255",
    ]


def _change(zoom: Zoom) -> str:
    """The numbers of a row of the figure, in words."""
    kept = "" if zoom.untouched is None else f", {zoom.untouched:.0%} of it untouched"
    changes = ", ".join(f"{zoom.change(method):.2f} by {method}" for method in zoom.restored)
    return f"{zoom.photograph.name}, {zoom.area}{kept}: grey levels changed {changes}"
