"""Which files belong together, by their names."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ir_lightning.errors import UnpairedError, UsageError


@dataclass(frozen=True)
class PairFiles:
    """The two files of a pair, and what it is called. A scene's pairs show the same clean image."""

    name: str
    degraded: Path
    clean: Path
    scene: str


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Files by their names without extension.

    Raises:
        UsageError: two files have the same name, but for their extension or folder.
    """
    known: dict[str, Path] = {}
    for file in files:
        other = known.setdefault(file.stem, file)
        if other is not file:
            name = file.name if other.parent == file.parent else str(file)
            raise UsageError(
                f"{other} and {name} differ only in their extension; keep one of them."
            )
    return known


def pair_up(
    degraded: Mapping[str, Path],
    clean: Mapping[str, Path],
    clean_key: Callable[[str], str | None],
    rule: str,
    spare_clean: bool = False,
) -> list[PairFiles]:
    """Find each degraded file's clean one.

    Args:
        degraded, clean: files by name, at least one each.
        clean_key: of a degraded name, the clean name; None if it makes no sense.
        rule: how the names are related, for messages.
        spare_clean: accept clean files that no degraded one belongs to.

    Raises:
        UnpairedError: names and counts the files without a partner.
    """
    partner = {stem: key for stem in degraded if (key := clean_key(stem)) in clean}
    used = set(partner.values())
    lonely = [file for stem, file in degraded.items() if stem not in partner]
    unused = [] if spare_clean else [file for stem, file in clean.items() if stem not in used]
    everything = lonely + unused
    folders = [next(iter(files.values())).parent for files in (degraded, clean)]
    refuse_unpaired(lonely, folders[1], f"clean image by the rule '{rule}'", everything)
    refuse_unpaired(unused, folders[0], f"degraded image by the rule '{rule}'", everything)
    return [PairFiles(s, degraded[s], clean[key], key) for s, key in partner.items() if key]


def refuse_unpaired(
    files: Sequence[Path], partners: Path, what: str, unpaired: Sequence[Path]
) -> None:
    """Raise UnpairedError about ``files``, if there are any."""
    if files:
        names = ", ".join(str(file) for file in files[:3]) + (", ..." if len(files) > 3 else "")
        raise UnpairedError(
            f"{len(files)} unpaired: {names} has no {what} in {partners}; "
            "choose another rule, or complete or thin out the folders.",
            unpaired,
        )


def compiled(rule: str, pattern: str | None) -> re.Pattern[str]:
    """The expression whose one group, found in a degraded stem, is the clean stem."""
    patterns = {"stem": r"^(.+)$", "prefix": r"^([^_]+)", "regex": pattern}
    if rule not in patterns:
        raise UsageError(f"rule={rule}: unknown pairing rule; choose {', '.join(patterns)}.")
    if (pattern is not None) != (rule == "regex"):
        raise UsageError(f"rule={rule}, pattern={pattern}: regex, and only regex, has a pattern.")
    try:
        compiled = re.compile(patterns[rule] or "")
    except re.error as error:
        raise UsageError(f"pattern={pattern}: no valid regular expression ({error}).") from None
    if compiled.groups != 1:
        raise UsageError(
            f"pattern={pattern}: {compiled.groups} groups; exactly one must enclose the clean "
            "stem (other parentheses are written '(?:...)')."
        )
    return compiled
