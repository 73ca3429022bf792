"""On a dashboard, a sweep's runs stand together and its report beside them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ir_lightning.data.image_files import read_image
from ir_lightning.report.wandb_report import Mode
from ir_lightning.report.write import write_report
from ir_lightning.runs.record import write_result
from ir_lightning.training.loggers.wandb import wandb_logger
from tests.helpers.planting import plant_experiment
from tests.helpers.reports import part
from tests.helpers.wandb_servers import Answering, upload
from tests.report.test_report import REPORT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("account")]


def planted(root: Path, settings: dict[str, Any] | None) -> Path:
    """The report's folder, of runs that were logged with these settings."""
    drawn = REPORT | {"figure": part("BarFigure", x="method")}
    folder = plant_experiment(root, report=drawn, sweep="0a1b2c")
    for place in (root / "runs").iterdir():
        logger = {"wandb": settings} if settings else {"csv": None}
        (place / "config.yaml").write_text(yaml.safe_dump({"logger": logger}))
    return folder


def offline(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))


def test_a_report_is_logged_where_its_runs_were(tmp_path: Path) -> None:
    folder = planted(tmp_path, {"project": "rain", "entity": "lab"})
    write_report(folder, wandb=Mode.OFFLINE)
    (file,) = offline(folder)
    media = file.parent / "files" / "media"
    (page,) = media.glob("html/report/page_*.html")
    assert page.read_bytes() == (folder / "report.html").read_bytes()
    tables = {path.name.split("_")[0]: path for path in media.glob("table/report/*.json")}
    logged = json.loads(tables["table"].read_text())
    with (folder / "table.csv").open(newline="") as written:
        assert [logged["columns"], *logged["data"]] == list(csv.reader(written))
    (claim,) = json.loads(tables["claims"].read_text())["data"]
    assert claim[0] in (folder / "report.md").read_text()
    assert claim[2] in ("supported", "not supported", "undecided")
    (figure,) = media.glob("images/report/figure_*.png")
    assert np.array_equal(read_image(figure), read_image(folder / "figure.png"))
    with Answering() as server:
        upload([file], server)
        ((run,),) = server.runs.values()
    assert (run["project"], run["entity"]) == ("rain", "lab")
    assert (run["groupName"], run["jobType"]) == ("table9", "report")
    assert run["displayName"] == "report: report"


def test_a_report_that_is_written_again_is_the_same_run(tmp_path: Path) -> None:
    folder = planted(tmp_path, {"project": "rain", "entity": None})
    for _ in range(2):
        write_report(folder, wandb=Mode.OFFLINE)
    first, second = offline(folder)
    assert first.name == second.name


@pytest.mark.parametrize(
    ("settings", "mode"), [(None, Mode.OFFLINE), ({"project": "rain", "entity": None}, Mode.OFF)]
)
def test_runs_without_wandb_have_a_report_without_it(
    settings: dict[str, Any] | None, mode: Mode, tmp_path: Path
) -> None:
    folder = planted(tmp_path, settings)
    write_report(folder, wandb=mode)
    assert not (folder / "wandb").exists()


@pytest.mark.parametrize(
    ("record", "group", "logged"),
    [
        ({"sweep": "0a1b2c", "label": "depth=3,seed=1"}, None, ("depth=3,seed=1", "0a1b2c")),
        ({"sweep": "0a1b2c", "label": "depth=3,seed=1"}, "mine", ("depth=3,seed=1", "mine")),
        ({}, None, ("run", None)),
    ],
)
def test_runs_of_a_sweep_are_grouped_and_named_by_what_varies(
    record: dict[str, Any], group: str | None, logged: tuple[str, str | None], tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    write_result(run_dir, {"status": "running"} | record)
    logger = wandb_logger(run_dir, "0123456789", {}, "rain", None, "offline", group)
    logger.log_metrics({"train/l1": 1.0}, step=1)
    logger.close(exit_code=0)
    with Answering() as server:
        upload(offline(run_dir), server)
        ((run,),) = server.runs.values()
    assert (run["displayName"], run.get("groupName")) == logged
