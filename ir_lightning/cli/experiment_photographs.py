"""Where the photographs of an experiment lie on this disk."""

from dataclasses import replace
from pathlib import Path

from ir_lightning.report.experiment import Experiment


def with_photographs(experiment: Experiment, photos: Path | None, data: str | None) -> Experiment:
    """The experiment with its photographs' folder as it is here: what goes into the index.

    Without one, the report takes the test images of the runs.

    Args:
        experiment: of kind ``photographs``.
        photos: the user's own folder, or None for the one that the experiment's file names.
        data: ``paths.data``, the folder of the benchmarks.
    """
    settings = dict(experiment.report["photographs"])
    usual = Path(data).expanduser() / settings["below_data"] if data else None
    folder = photos or (usual if usual and usual.is_dir() else None)
    settings["folder"] = None if folder is None else str(folder.expanduser().resolve())
    if photos is not None:
        settings["areas"] = {}  # those are of other photographs
    return replace(experiment, report={**experiment.report, "photographs": settings})
