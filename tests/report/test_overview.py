"""Table II in the paper's form: methods by data sets, the printed scores below ours."""

import json
from pathlib import Path

import pytest

from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.report.index import INDEX
from ir_lightning.report.write import write_report
from tests.helpers.reports import part
from tests.report.test_report import plant

REPORT = part(
    "ScoreMatrix",
    rows="method",
    columns="dataset",
    labels={"unet5": "UNet-5", "infoaccum": "InfoAccum-15"},
    paper={"unet5": {"rain800": [24.0, 0.8], "sidd": None}, "infoaccum": {}},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two methods on two data sets, trained in another order than they are shown in."""
    runs = []
    for method, psnr in (("infoaccum", 26.0), ("unet5", 25.0)):
        for dataset in ("rain800", "sidd"):
            for seed in range(2):
                name = f"{method}-{dataset}-{seed}"
                cell = {"method": method, "dataset": dataset}
                runs.append({"cell": cell, "seed": seed, "run": f"../{name}"})
                if name != "unet5-rain800-1" and (method, dataset) != ("infoaccum", "sidd"):
                    plant(tmp_path / name, psnr, seed, dataset=dataset)
    index = {"experiment": "table2", "title": "Table II", "budget": "cpu", "report": REPORT}
    write_json(tmp_path / "report" / INDEX, {**index, "runs": runs})
    return tmp_path / "report"


def test_it_is_golden(folder: Path) -> None:
    write_report(folder)
    assert (folder / "table.md").read_text() == (
        "| PSNR (dB) / SSIM | rain800 | sidd |\n"
        "| --- | --- | --- |\n"
        "| UNet-5 | 25.00 / 0.5000 (1/2) | 25.00 / 0.5000 |\n"
        "| UNet-5: paper | 24.00 / 0.8000 | - |\n"
        "| UNet-5: difference | +1.00 / -0.3000 | - |\n"
        "| InfoAccum-15 | 26.00 / 0.5200 | - (0/2) |\n"
    )
    assert r"UNet-5: paper & 24.00 / 0.8000 & - \\" in (folder / "table.tex").read_text()


def test_what_has_no_place_of_its_own_is_refused(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["report"]["labels"] = dict.fromkeys(("unet5", "infoaccum"), "the same")
    write_json(folder / INDEX, index)
    with pytest.raises(UsageError, match="2 cells are the same on rain800"):
        write_report(folder)
    index["report"]["rows"] = ["method"]
    write_json(folder / INDEX, index)
    with pytest.raises(UsageError, match="columns: dataset needs rows"):
        write_report(folder)


def test_every_cell_stands_below_it_with_its_cost(folder: Path) -> None:
    write_report(folder)
    cells = (folder / "cells.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in cells[1:]] == [
        ["UNet-5", "rain800"],
        ["InfoAccum-15", "rain800"],
        ["UNet-5", "sidd"],
        ["InfoAccum-15", "sidd"],
    ]
    assert "0.554,12.35" in cells[1]
    text = (folder / "report.md").read_text()
    assert text.index("| UNet-5: difference |") < text.index("## Every cell")
    page = (folder / "report.html").read_text()
    assert "+1.00 / -0.3000" in page
    assert "<summary>Every cell</summary>" in page
