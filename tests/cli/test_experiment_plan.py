"""`ir-lightning experiment NAME --plan`: what it prints and asks for; it does no more."""

import re
import shlex
from pathlib import Path

import pytest

from ir_lightning.cli import main
from ir_lightning.report.experiment import EXPERIMENTS
from ir_lightning.report.index import INDEX
from ir_lightning.report.write import write_report
from tests.conftest import ROOT
from tests.helpers.planting import plant_experiment
from tests.report.test_archive import MEASURED

Captured = pytest.CaptureFixture[str]
KEPT = str(EXPERIMENTS / "results" / "cpu" / "table3-rain800")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def planned(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["experiment", *words, "--plan"])
    return int(end.value.code or 0)


def test_a_plan_trains_and_writes_nothing(tmp_path: Path, capsys: Captured) -> None:
    """Table II on synthetic rain, whose test shows 67 scenes; the cpu budget has two seeds."""
    stated = ["--sd", "0.15,0.5", "--sd", "ssim=0.004,0.01"]
    assert planned("table2", "--dataset", "rain", *stated) == 0
    text = capsys.readouterr().out
    assert "(rain: 67 scenes)" in text
    (row,) = [line for line in text.splitlines() if "UNet-5 is as good as UNet-8 (> -0.2)" in line]
    assert row.split()[-5:] == ["0.15,", "0.5", "+1.1", "+0.33", "+0.17"]
    words = " ".join(text.split())
    assert "10 runs, seeds of each cell: 2. So few decide no difference: it takes 3." in words
    assert "as one of 7 claims" in words
    assert max(map(len, text.splitlines())) <= 80
    assert not list(tmp_path.iterdir())


def test_kept_results_say_how_scores_vary(capsys: Captured) -> None:
    """With the kept seeds and scenes it sees what ``rejudged.md`` says that the verdict saw."""
    table3 = ["table3", "--dataset", "rain800", "--scenes", "76"]
    assert planned(*table3, "--variances-from", KEPT, "--difference", "1") == 0
    text = capsys.readouterr().out
    rejudged = (EXPERIMENTS / "results" / "rejudged.md").read_text("utf-8")
    rejudged = rejudged.split("## cpu/table3-rain800")[1].partition("## ")[0]
    (said,) = [line for line in rejudged.splitlines() if "InfoAccum wins detail back" in line]
    (row,) = [line for line in text.splitlines() if "InfoAccum wins detail" in line]
    sees = said.rpartition("sees ")[2]
    assert row.split()[-4:] == [sees, "+0.85", "+0.61", "5"]
    assert f"of the claim's cells in {KEPT}" in text.replace("\n", "")


def test_what_readme_shows_is_what_is_printed(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "88")
    readme = (ROOT / "README.md").read_text("utf-8")
    block = r"ir-lightning experiment (.*--plan .*)\n```\n\n```text\n([^`]*)"
    ((command, shown),) = re.findall(block, readme)
    assert planned(*shlex.split(command.replace(" --plan", ""))) == 0
    printed = capsys.readouterr().out
    for line in shown.splitlines():
        assert line in printed or line.strip() == "..."


def test_finished_runs_of_the_experiment_say_how_scores_vary(
    tmp_path: Path, capsys: Captured
) -> None:
    """Those of the index; here with two methods of four seeds, one of which is missing."""
    folder = plant_experiment(tmp_path / "planted", galleries=False, **MEASURED)
    write_report(folder, keep=tmp_path / "kept")
    place = tmp_path / "planted" / "reports" / "table2-rain-cpu"
    place.parent.mkdir()
    folder.rename(place)
    (tmp_path / "planted" / "runs").rename(place.parent / "runs")  # where the index says
    for words in (["--runs", str(place.parents[1])], ["--variances-from", str(tmp_path / "kept")]):
        command = ["table2", "--dataset", "rain", "--scenes", "40", *words]
        assert planned(*command) == 0
        text = capsys.readouterr().out
        # Of other cells and another data set: all of them together, by 5 degrees of freedom.
        assert "~0.12, " in text
        assert "of all cells in" in text
    assert (place / INDEX).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table2", "--dataset", "rain"], r"Nothing says .*psnr, ssim.*such as --sd psnr=0.15,0.5"),
        (["fig3", "--sd", "0.15"], r"--sd 0.15: give METRIC=SEED,SCENE"),
        (["fig3", "--sd", "psnr=a,b"], r"--sd psnr=a,b: give METRIC=SEED,SCENE"),
        (["fig3", "--sd", "0.1,0.2", "--scenes", "none"], r"--scenes none: give N or DATASET=N"),
        (["fig3", "--sd", "0.1,0.2", "--difference", "0"], r"--difference 0: give METRIC=D"),
        (["fig3", "--sd", "0.1,0.2", "--dataset", "rain800"], r"Give --scenes rain800=N"),
        (
            ["fig3", "--sd", "0.1,0.2", "--scenes", "rian=9"],
            r"--scenes: nothing .* rian; .*rain",
        ),
        (["fig3", "--sd", "pnsr=0.1,0.2"], r"--sd: nothing here is about pnsr; choose from psnr"),
        (["fig3", "--sd", "0.1,0.2", "--difference", "ssim=1"], r"--difference: nothing .* ssim"),
        (["fig3", "--variances-from", "nowhere"], r"nowhere: no numbers of a report"),
        (["table4"], r"table4 trains nothing"),
        (["fig3", "--budget", "large"], r"no budget 'large'"),
    ],
)
def test_what_is_not_known_is_asked_for(words: list[str], said: str, capsys: Captured) -> None:
    assert planned(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(said, line), line


def test_each_data_set_has_its_scenes_and_averages_the_fewest(capsys: Captured) -> None:
    sets = {"noise": 40, "haze": 30, "rain": 3, "rain_density": 9, "rain_haze": 9, "heavy_rain": 9}
    scenes = [word for name, n in sets.items() for word in ("--scenes", f"{name}={n}")]
    assert planned("table2", "--sd", "0.2,0.5", "--sd", "ssim=0.01,0.03", *scenes) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "heavy_rain: 9" in text
    assert "noise: 40" in text
    assert re.search(r"Not planned: LSGAN beats GAN \(rain\);.*3 scenes decide nothing", text)
    assert "on average: " not in text, "three scenes decide nothing there, either"


def test_a_smoke_budget_decides_nothing(capsys: Captured) -> None:
    assert planned("fig14", "--budget", "smoke") == 0
    assert "2 scenes decide nothing: a verdict takes at least 5" in " ".join(
        capsys.readouterr().out.split()
    )


def test_options_of_a_plan_are_of_a_plan(tmp_path: Path, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as end:
        main(["experiment", "fig3", "--sd", "0.1,0.2", "--runs", str(tmp_path / "runs")])
    assert end.value.code == 2
    assert "are read by --plan alone" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
