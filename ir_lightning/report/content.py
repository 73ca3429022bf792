"""What a report is made of, whatever kind of experiment it is about."""

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ir_lightning.report.claims import Judged


@dataclass(frozen=True)
class Table:
    """A table of text; the first column is of words, the others are of numbers."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def without(self, names: Collection[str]) -> "Table":
        """The same without some columns."""
        kept = [place for place, name in enumerate(self.header) if name not in names]
        header, *rows = (tuple(line[place] for place in kept) for line in (self.header, *self.rows))
        return Table(header, rows)

    def markdown(self) -> str:
        """A GitHub table."""
        lines = [self.header, ("---",) * len(self.header), *self.rows]
        return "".join(
            f"| {' | '.join(text.replace('|', chr(92) + '|') for text in line)} |\n"
            for line in lines
        )

    def comma_separated(self) -> str:
        """CSV with a header."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()

    def latex(self) -> str:
        """A booktabs tabular."""
        escapes = str.maketrans({c: "\\" + c for c in "&%$#_{}"})
        head, *rows = (
            " & ".join(text.translate(escapes) for text in line) + r" \\"
            for line in (self.header, *self.rows)
        )
        begin = rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}"
        lines = [begin, r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", ""]
        return "\n".join(lines)

    def files(self, name: str = "table") -> dict[str, str]:
        """The table in every form, by file name."""
        return {
            f"{name}.md": self.markdown(),
            f"{name}.csv": self.comma_separated(),
            f"{name}.tex": self.latex(),
        }


@dataclass(frozen=True)
class Content:
    """A report before it is written.

    Attributes:
        tables: ``table.md``, ``.csv`` and ``.tex``, as text; where that sums up, ``cells.*`` too,
            with everything that it is made of.
        verdicts: the claims, judged.
        figures: files that have been drawn.
        notes: paragraphs that stand below the figure.
        samples: whether the claims are judged from samples, as scores are, and not from counts.
    """

    tables: dict[str, str]
    verdicts: list[Judged]
    figures: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    samples: bool = True

    @property
    def claims(self) -> list[tuple[str, list[Judged]]]:
        """What each claim says, with its verdicts: one, or one for each place."""
        found: list[tuple[str, list[Judged]]] = []
        for judged in self.verdicts:
            if judged.where and found and found[-1][0] == judged.says:
                found[-1][1].append(judged)
            else:
                found.append((judged.says, [judged]))
        return found

    @property
    def caution(self) -> str | None:
        """How often verdicts are wrong, where there are several."""
        if not self.samples or len(self.verdicts) < 2:
            return None
        return (
            f"{len(self.verdicts)} verdicts. Each one by itself is wrong in at most 5 % of "
            "repetitions; nothing is corrected for their number."
        )
