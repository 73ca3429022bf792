"""What the commands about data print."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ir_lightning.data.audit.catalogue import CatalogueEntry
from ir_lightning.data.audit.duplicates import DuplicateGroup
from ir_lightning.data.audit.examine import KINDS, Report

SHOWN = 10  # findings of a kind on the terminal; the JSON report holds all
LABELS = {
    "unpaired": "unpaired files",
    "unreadable": "unreadable files",
    "truncated": "truncated files",
    "size": "sizes that differ",
    "refused": "refused by the reader",
}


def show_entries(console: Console, entries: Mapping[str, CatalogueEntry]) -> None:
    """All data sets, a row each."""
    table = Table()
    table.add_column("dataset", no_wrap=True)
    table.add_column("pairs", justify="right", no_wrap=True)
    table.add_column("what it is, where to get it, licence, size", overflow="fold")
    for name, entry in entries.items():
        about = (
            f"{entry.title}: {entry.task}\n{entry.source}\n"
            f"licence: {entry.licence}\nsize: {entry.size}"
        )
        table.add_row(name, _pairs(entry), about, end_section=True)
    console.print(table)


def show_entry(console: Console, name: str, entry: CatalogueEntry) -> None:
    """One data set, with its files."""
    table = Table.grid(padding=(0, 2))
    table.add_row("task", entry.task)
    table.add_row("composition", entry.composition)
    table.add_row("pairs", f"{_pairs(entry)} (training / test, as published)")
    table.add_row("paper", entry.paper)
    table.add_row("get it from", entry.source)
    table.add_row("licence", entry.licence)
    table.add_row("size", entry.size)
    table.add_row("notes", entry.notes)
    console.print(f"{name}: {entry.title}", style="bold", markup=False)
    console.print(table)
    console.print("\nFiles below the folder that --root names:")
    console.print(entry.tree.rstrip(), markup=False, soft_wrap=True)


def show_report(console: Console, title: str, report: Report) -> None:
    """A table of counts, then the findings by name."""
    table = Table(title=Text(title, overflow="fold"), title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("training", "test", "both"):
        table.add_column(column, justify="right")
    table.add_row("pairs found", *map(_number, report.found.values()))
    table.add_row("pairs published", *(_number(report.published[side]) for side in report.found))
    table.add_section()
    for kind in KINDS:
        counts = {"training": 0, "test": 0}
        for problem in report.broken:
            if problem.kind == kind:
                side = "test" if problem.split == "test" else "training"
                counts[side] += max(1, len(problem.files)) if kind == "unpaired" else 1
        table.add_row(LABELS[kind], *map(str, counts.values()))
    table.add_section()
    for label, groups in (
        ("groups of byte-identical files", report.files),
        ("groups of one clean image", report.clean),
    ):
        sides = ("training", "test", "both")
        sizes = [[len(g.members) for g in groups if g.where == side] for side in sides]
        table.add_row(label, *(str(len(each)) for each in sizes))
        table.add_row("  redundant in them", *(str(sum(each) - len(each)) for each in sizes))
    console.print(table)
    for line in _lines(report):
        console.print(line, markup=False, soft_wrap=True)


def _lines(report: Report) -> Iterable[str]:
    for kind in KINDS:
        found = [each for each in report.broken if each.kind == kind]
        yield from _first([f"broken: {each.message}" for each in found], LABELS[kind])
        if kind == "unpaired":
            unpaired = [f"broken: {file} has no partner." for each in found for file in each.files]
            yield from _first(unpaired, LABELS[kind])
    for side in report.different:
        count, published = report.found[side], report.published[side]
        yield f"warning: {side} has {count} pairs, but {published} were published."
    for label, groups in (
        ("byte-identical files", report.files),
        ("the same clean image", report.clean),
    ):
        for where in ("both", "test", "training"):
            told = [_told(label, group) for group in groups if group.where == where]
            yield from _first(told, f"groups of {label}, {where}")
    crossing = sum(
        {"train", "validation"} <= {member.split for member in group.members}
        for group in (*report.files, *report.clean)
    )
    if crossing:
        yield (
            f"warning: {crossing} of these groups stand on both sides of the cut between "
            "training and validation."
        )


def _told(label: str, group: DuplicateGroup) -> str:
    names = ", ".join(f"{member.split}/{member.name}" for member in group.members[:SHOWN])
    more = f" and {len(group.members) - SHOWN} more" if len(group.members) > SHOWN else ""
    alike = {"look": " (almost)", "pixels": "", "bytes": ""}[group.same]
    return f"warning: {label}{alike}: {names}{more}"


def _first(lines: list[str], what: str) -> Iterable[str]:
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"... {len(lines) - SHOWN} more ({what}); --json FILE lists all."


def _pairs(entry: CatalogueEntry) -> str:
    return " / ".join(_number(entry.pairs[side]) for side in ("training", "test"))


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
