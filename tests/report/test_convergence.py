"""Fig. 7 from planted curves whose stages, balance and gradients are known."""

import csv
from pathlib import Path

import numpy as np
import pytest

from ir_lightning.files import write_json
from ir_lightning.report.content import markdown
from ir_lightning.report.index import INDEX
from ir_lightning.report.kinds.convergence import convergence
from ir_lightning.report.runs import collect
from ir_lightning.report.write import write_report
from tests.helpers.reports import content_of, part
from tests.report.test_report import plant

pytestmark = pytest.mark.slow

SEEDS = 3
GAN, LSGAN = {"loss": "gan"}, {"loss": "lsgan"}
REPORT = part(
    "ConvergenceTable",
    rows=["loss"],
    labels={"gan": "GAN"},
    figure=part("ConvergenceFigure"),
    claims=[
        part("TwoStages", where=GAN, says="GAN: two stages"),
        part("TwoStages", where=LSGAN, says="LSGAN: two stages"),
        part("DiscriminatorAhead", where=GAN, says="GAN: D is ahead"),
        part("DiscriminatorAhead", where=LSGAN, says="LSGAN: D is ahead"),
        part("GradientVanishes", where=GAN, says="GAN: vanishing"),
        part("GradientVanishes", where=LSGAN, says="LSGAN: vanishing"),
        part("Difference", a=LSGAN, b=GAN, says="LSGAN is better"),
    ],
)


def curve(loss: str, seed: int) -> list[dict[str, float | str]]:
    """GAN: taus 60 and 900, D saturated at check 200, its gradient gone. LSGAN: none of it."""
    random = np.random.default_rng([seed, loss == "gan"])
    t = np.arange(5, 3001, 5)
    slow = 10.0 * np.exp(-t / 900) if loss == "gan" else 0.0
    losses = 20 + 30 * np.exp(-t / 60) + slow + 0.05 * random.standard_normal(len(t))
    rows: list[dict[str, float | str]] = []
    for iteration, value in zip(t, losses, strict=True):
        row: dict[str, float | str] = {"iteration": int(iteration), "train/generator": value}
        if iteration % 100 == 0:
            share = 1 - np.exp(-iteration / 500)  # 90 % of the gain after the first check at 1234
            gan = loss == "gan"
            row |= {
                "val/psnr": 15 + 10 * share,
                "balance/bits": 0.95 if gan and iteration >= 200 else 0.3,
                "balance/low": 0.92 if gan and iteration >= 200 else 0.2,
                "balance/auc": 0.99 if gan else 0.7,
                "balance/g_adversarial": 10 ** (-iteration / 500) if gan else 1.0,
                "balance/g_pixel": 2.0,
            }
        rows.append(row)
    return rows


def plant_curve(run_dir: Path, rows: list[dict[str, float | str]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (run_dir / "metrics.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=columns, restval="")
        table.writeheader()
        table.writerows(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two losses, three seeds."""
    root = tmp_path_factory.mktemp("fig7")
    runs = []
    for loss, psnr in (("gan", 20.0), ("lsgan", 21.0)):
        for seed in range(SEEDS):
            place = root / f"{loss}-{seed}"
            plant(place, psnr, seed)
            plant_curve(place, curve(loss, seed))
            runs.append({"cell": {"loss": loss}, "seed": seed, "run": f"../{place.name}"})
    head = {"experiment": "fig7", "title": "Fig. 7", "budget": "cpu"}
    write_json(root / "report" / INDEX, {**head, "report": REPORT, "runs": runs})
    return root / "report"


def test_the_planted_truth_is_measured(folder: Path) -> None:
    run = next(iter(collect(folder).groups[0].runs.values()))
    measured = convergence(run)
    assert measured.stages is not None
    assert measured.stages.taus == pytest.approx((60, 900), rel=0.1)
    assert measured.saturated is not None
    assert measured.gained is not None
    assert (measured.saturated.iteration, measured.gained.iteration) == (200, 1300)
    assert measured.imbalance is not None
    assert measured.imbalance.value == pytest.approx(np.log2(1300 / 200))
    assert measured.vanishing is not None
    assert measured.vanishing.verdict == "vanishing"
    assert measured.bits == 0.95


def test_each_claim_has_its_verdict(folder: Path) -> None:
    content = content_of(folder)
    verdicts = {judged.says: judged.verdict for judged in content.verdicts}
    assert verdicts == {
        "GAN: two stages": "supported",
        "LSGAN: two stages": "undecided",  # one exponential, which two fit as well
        "GAN: D is ahead": "supported",
        "LSGAN: D is ahead": "not supported",
        "GAN: vanishing": "supported",
        "LSGAN: vanishing": "not supported",
        "LSGAN is better": "supported",
    }
    row = markdown(content.tables["table"]).splitlines()[2]
    assert row.startswith("| GAN | 3/3 | exp2 (3) |")
    assert "| 200 | 1300 |" in row
    assert row.endswith("| 3/3 |")
    other = markdown(content.tables["table"]).splitlines()[3]
    assert "| > 3000 | 1300 |" in other


def test_the_same_runs_give_the_same_report(folder: Path) -> None:
    write_report(folder)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"figure.png", "figure.pdf", "table.csv", "report.md"} <= first.keys()
    write_report(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_two_seeds_and_curves_without_the_numbers_are_undecided(tmp_path: Path) -> None:
    runs = []
    for loss in ("gan", "lsgan"):
        for seed in (0, 1):
            place = tmp_path / f"{loss}-{seed}"
            plant(place, 20.0, seed)
            if loss == "gan":
                plant_curve(place, curve(loss, seed))
            runs.append({"cell": {"loss": loss}, "seed": seed, "run": f"../{place.name}"})
    head = {"experiment": "fig7", "title": "Fig. 7", "budget": "cpu"}
    write_json(tmp_path / "report" / INDEX, {**head, "report": REPORT, "runs": runs})
    content = content_of(tmp_path / "report")
    assert {judged.verdict for judged in content.verdicts[:6]} == {"undecided"}
    assert any("its curve has no train/generator" in note for note in content.notes)
