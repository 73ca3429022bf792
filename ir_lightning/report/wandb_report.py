"""An experiment's report on W&B: a run of its own, beside those that it is about."""

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

import yaml
from PIL import Image

if TYPE_CHECKING:  # the command line only needs to know the modes
    from ir_lightning.report.content import Content
    from ir_lightning.report.runs import Results

PATIENCE = 60.0  # seconds
PAGE, FIGURE = "report.html", "figure.png"


class Mode(StrEnum):
    """Whether a report goes to W&B; ``wandb sync FOLDER/wandb/offline-run-*`` uploads it later."""

    OFF = "off"
    OFFLINE = "offline"
    ONLINE = "online"


def log_report(results: "Results", content: "Content", mode: Mode) -> None:
    """Log table, claims, figure and page of a report that has been written.

    It goes where the first run that was logged to W&B went, or nowhere. A report that is written
    again is the same run there.
    """
    folder, destination = results.folder, None if mode == Mode.OFF else _destination(results)
    if destination is None:
        return
    from ir_lightning.report.content import lines_of
    from ir_lightning.training.loggers.wandb import Wandb  # imports torch

    sweeps = sorted({str(run.record.get("sweep", "")) for run in results.finished})
    begin = {
        "name": f"report: {folder.name}",
        "id": hashlib.sha256(f"{folder.name}{sweeps}".encode()).hexdigest()[:10],
        **destination,
        "group": results.name,
        "job_type": "report",
        "dir": str(folder),
        "config": {"experiment": results.name, "budget": results.budget},
    }
    logger = Wandb(begin, online=mode == Mode.ONLINE, patience=PATIENCE)
    header, *rows = lines_of(content.tables["table"])
    logger.log_table("report/table", header, rows)
    claims = [[each.says, each.where, each.verdict, each.reason] for each in content.verdicts]
    logger.log_table("report/claims", ["claim", "on", "verdict", "reason"], claims)
    if (folder / FIGURE).exists():
        with Image.open(folder / FIGURE) as picture:
            logger.log_image("report/figure", [picture.convert("RGB")])
    if (folder / PAGE).exists():
        logger.log_page("report/page", folder / PAGE)
    logger.close(exit_code=0)


def _destination(results: "Results") -> dict[str, str | None] | None:
    """Project and entity of the first run that was logged to W&B."""
    for run in results.finished:
        try:
            config = yaml.safe_load((run.directory / "config.yaml").read_text("utf-8"))
            settings = config["logger"].get("wandb")
            if settings:
                return {"project": str(settings["project"]), "entity": settings["entity"]}
        except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError):
            continue  # a run whose configuration is damaged says nothing
    return None
