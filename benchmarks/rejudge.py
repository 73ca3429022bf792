"""Kept results by today's rules: what of their verdicts stands.

    python -m benchmarks.rejudge            # writes experiments/results/rejudged.md

From ``runs.csv`` and ``images.csv`` of each folder, by the claims of the experiment's file. Their
images do not say which scene they show: of synthetic data it is the photograph in their name, of
Rain800 it stands in the package's table. Claims about training curves, which were not kept, and
about cells that there were not yet, are left out.
"""

from pathlib import Path

from ir_lightning.build import build
from ir_lightning.report.claims import ScoreClaim
from ir_lightning.report.experiment import Experiment
from ir_lightning.report.judging import judge
from ir_lightning.report.kept import read_kept
from ir_lightning.report.runs import Results

RESULTS = Path(__file__).parents[1] / "experiments" / "results"
PRETRAINED = 1000  # iterations that came before runs of fig7, where no table says how many
UNSAID: dict[str, dict[str, str]] = {
    "infoaccum": {"enhancer.norm": "instance", "enhancer.keep_input": "True"},
    "dense": {"enhancer.norm": "instance", "enhancer.keep_input": "True"},
    "residual_matched": {"enhancer.norm": "instance", "enhancer.keep_input": "False"},
    "context_dilated_matched": {"enhancer.norm": "none", "enhancer.keep_input": "False"},
    "recursive_matched": {"enhancer.norm": "none", "enhancer.keep_input": "False"},
    "scan_matched": {"enhancer.keep_input": "False"},
    "attention_matched": {"enhancer.keep_input": "True"},
}
"""What fig14's cells say of their enhancers since they are compared like with like."""


def read(folder: Path) -> Results:
    """The kept runs of a folder, and what their tables do not say."""
    results = read_kept(folder)
    for group in results.where({"pretrain": "reconstruction"}):
        for run in group.runs.values():
            run.record.setdefault("pretrained", PRETRAINED)
    if results.name == "fig14":
        for group in results.groups:
            group.cell.update(UNSAID.get(group.cell["enhancer"], {}))
    return results


def there(claim: ScoreClaim, results: Results) -> bool:
    """Whether the cells are among the kept ones, of a claim that names two."""
    return all(results.where(getattr(claim, side, {})) for side in ("a", "b"))


def text() -> str:
    """The page ``rejudged.md``."""
    lines = [
        "# The kept results by today's rules",
        "",
        "Made by `python -m benchmarks.rejudge` from each folder's `runs.csv` and `images.csv`:",
        "scenes, not files, are the unit (the synthetic test images of 0.1.0 show two photographs,",
        "those of a folder that ends in -scenes 67 scenes or 40 of them, the 100 of Rain800 76),",
        "claims of a file are one family or as many as it declares, and networks that have not",
        "passed their degraded input are not compared (En/Decoder, which loses detail whatever it",
        "learns, is). Claims about cells that were not run then, and about curves, are left out.",
    ]
    for folder in sorted(path.parent for path in RESULTS.glob("*/*/images.csv")):
        results = read(folder)
        report = build(Experiment.named(results.name).report, "report")
        scored = [claim for claim in report.claims if isinstance(claim, ScoreClaim)]
        claims = [claim for claim in scored if there(claim, results)]
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
