"""Kept results by today's rules: what of their verdicts stands.

    python -m benchmarks.rejudge            # writes experiments/results/rejudged.md

From ``runs.csv`` and ``images.csv`` of each folder, by the claims of the experiment's file. Their
images do not say which scene they show: of synthetic data it is the photograph in their name, of
Rain800 it stands in the package's table. Claims about training curves, which were not kept, are
left out.
"""

from pathlib import Path

from ir_lightning.build import build
from ir_lightning.report.claims import ScoreClaim
from ir_lightning.report.experiment import Experiment
from ir_lightning.report.judging import judge
from ir_lightning.report.kept import read_kept
from ir_lightning.report.runs import Results

RESULTS = Path(__file__).parents[1] / "experiments" / "results"
WARM, PRETRAINED = (
    {"pretrain": "reconstruction"},
    1000,
)  # iterations that such runs of fig7 began with


def read(folder: Path) -> Results:
    """The kept runs of a folder; their tables do not say what a training began with."""
    results = read_kept(folder)
    for run in (run for group in results.where(WARM) for run in group.runs.values()):
        run.record["pretrained"] = PRETRAINED
    return results


def text() -> str:
    """The page ``rejudged.md``."""
    lines = [
        "# The kept results by today's rules",
        "",
        "Made by `python -m benchmarks.rejudge` from each folder's `runs.csv` and `images.csv`:",
        "scenes, not files, are the unit (synthetic test images show two photographs, the 100 of",
        "Rain800 76), all claims of a file are one family, and networks that have not passed their",
        "degraded input are not compared (En/Decoder, which loses detail whatever it learns, is).",
    ]
    for folder in sorted(path.parent for path in RESULTS.glob("*/*/images.csv")):
        results = read(folder)
        report = build(Experiment.named(results.name).report, "report")
        claims = [claim for claim in report.claims if isinstance(claim, ScoreClaim)]
        lines += ["", f"## {folder.parent.name}/{folder.name}", ""]
        for judged in judge(claims, results):
            where = f" ({judged.where})" if judged.where else ""
            lines.append(f"- {judged.says}{where}: **{judged.verdict}**. {judged.reason}")
    return "\n".join(lines) + "\n"


def main() -> None:
    (RESULTS / "rejudged.md").write_text(text(), "utf-8")
    print(text())


if __name__ == "__main__":
    main()
