"""Kinds, figures, claims and steps of somebody's own package; and what a report may not do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ir_lightning.cli import main
from ir_lightning.errors import UsageError
from ir_lightning.files import write_json
from ir_lightning.report.index import INDEX
from ir_lightning.report.write import write_report
from tests.conftest import ROOT
from tests.helpers.planting import plant_experiment
from tests.helpers.reports import content_of, part
from tests.report.test_report import BETTER

PACKAGE = '''
from dataclasses import dataclass

import pandas as pd

from ir_lightning.report.claims import ReportClaim
from ir_lightning.report.content import Figure, ReportKind


class Count(ReportKind):
    """How many runs each method has."""

    def tables(self, results):
        rows = [{"": cell.row, "runs": str(len(cell.group.runs))} for cell in self.cells(results)]
        return {"table": pd.DataFrame(rows)}


class Plain(Figure):
    def draw(self, results, report):
        path = results.folder / "figure.txt"
        path.write_text(results.title)
        return [path]


@dataclass(frozen=True, kw_only=True)
class AtLeast(ReportClaim):
    runs: int

    def verdict(self, results, place):
        (note,) = (results.folder / "note.txt").read_text().splitlines()
        return ("supported" if len(results.runs) >= self.runs else "not supported"), note


class Note:
    def __init__(self, words: str) -> None:
        self.words = words

    def __call__(self, folder, index):
        (folder / "note.txt").write_text(f"{self.words} of {index['experiment']}")
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment whose report, figure, claim and step are classes of the package mylab."""
    (tmp_path / "mylab.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mylab", raising=False)
    claims = [{"_target_": "mylab.AtLeast", "runs": 6, "says": "six"}, BETTER]
    figure = {"_target_": "mylab.Plain"}
    report = {"_target_": "mylab.Count", "rows": "method", "figure": figure, "claims": claims}
    folder = plant_experiment(tmp_path, report=report)
    index = json.loads((folder / INDEX).read_text())
    write_json(folder / INDEX, index | {"prepare": {"_target_": "mylab.Note", "words": "said"}})
    return folder


def test_one_class_each_is_all_that_a_newcomer_writes(folder: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(["report", str(folder), "--trust", "mylab", "--wandb", "off"])
    assert end.value.code == 0
    text = (folder / "report.md").read_text()
    assert "- **supported**: six. said of table9" in text
    assert "UNet-5 is better" in text
    assert "| method=unet5 | 4 |" in text
    assert (folder / "figure.txt").read_text() == "Table IX"
    assert "method=pix2pix" in (folder / "report.html").read_text()


@pytest.mark.parametrize("trust", [[], ["--trust", "otherlab"]])
def test_an_index_builds_nothing_of_packages_that_are_not_trusted(
    trust: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["report", str(folder), *trust])
    assert end.value.code == 2
    assert "refused to build mylab.Note" in capsys.readouterr().err
    assert "mylab" not in sys.modules
    with pytest.raises(UsageError, match=r"refused to build mylab\.Count.*--trust mylab"):
        write_report(folder)


def test_an_index_runs_no_program(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path, report={"_target_": "os.system", "command": "true"})
    with pytest.raises(UsageError, match=r"refused to build os\.system"):
        write_report(folder)


@pytest.mark.usefixtures("folder")
def test_somebodys_own_experiment_is_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One without runs, so that nothing is trained; its author trusts it."""
    report = {"_target_": "mylab.Count", "claims": [{"_target_": "mylab.AtLeast", "runs": 0}]}
    report["claims"][0]["says"] = "none"
    content = {"title": "Mine", "datasets": {}, "fixed": [], "sweeps": [], "report": report}
    content |= {"seeds": {"cpu": []}, "budgets": {"cpu": []}}
    content |= {"prepare": {"_target_": "mylab.Note", "words": "a note"}}
    write_json(tmp_path / "mine.yaml", content)  # YAML holds JSON
    with pytest.raises(SystemExit) as end:
        main(["experiment", str(tmp_path / "mine.yaml"), "--runs", str(tmp_path / "runs")])
    assert end.value.code == 0, capsys.readouterr().err
    text = (tmp_path / "runs" / "reports" / "mine-synthetic-cpu" / "report.md").read_text()
    assert "**supported**: none. a note of mine" in text


def test_a_key_that_no_cell_has_is_named(tmp_path: Path) -> None:
    folder = plant_experiment(tmp_path)
    at = part("SaturatesAt", over="depth", expected=[1, 2], says="x")
    for report in (
        part("ScoreTable", figure=part("BarFigure", x="method", series="colour")),
        part("ScoreTable", claims=[BETTER | {"each": "colour"}]),
        part("SaturationTable", rows="colour", claims=[at]),
    ):
        index = json.loads((folder / INDEX).read_text()) | {"report": report}
        write_json(folder / INDEX, index)
        with pytest.raises(UsageError, match="no cell has the key colour; they have method"):
            content_of(folder)


@pytest.mark.slow
def test_a_report_reads_files_and_needs_no_torch(tmp_path: Path) -> None:
    """Whatever the kind; only experiment.py composes runs."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "ir_lightning" / "report").rglob("*.py"))
        if path.name not in ("__init__.py", "experiment.py")
    ]
    folder = plant_experiment(tmp_path)
    program = f"import sys, {', '.join(modules)}; from pathlib import Path\n"
    program += f"{modules[0].partition('.')[0]}.report.write.write_report(Path({str(folder)!r}))\n"
    program += "print(sorted({'torch', 'lightning'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert (folder / "report.html").exists()
