"""Where data lie on disk: their folders are found, or the level that looks right is said."""

import os
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from ir_lightning.data.image_files import list_images
from ir_lightning.errors import UsageError

LOOKED_AT = 200  # neighbouring folders, at most, in search of the one that was meant


def find(
    root: str | os.PathLike[str], title: str, levels: Sequence[str], *roles: Sequence[str]
) -> list[Path]:
    """The files or folders by which an unpacked data set is known.

    Args:
        root: what the user calls the folder of the data set.
        title: name of the data set, for messages.
        levels: folders in the root that downloads unpack to; ``.`` is the root itself. The first
            one that has all the roles is taken.
        roles: one for each path wanted: the names it goes by, relative to the level.

    Raises:
        UsageError: no level has them all; names a folder one level up or down that does.
    """
    root = Path(root).expanduser()
    if found := _found(root, levels, roles):
        return found
    wanted = " and ".join(f"'{Path(levels[0], role[0])}'" for role in roles)
    # The root may go by another name, too.
    around = chain(_levels(root), islice(subfolders(root.parent), LOOKED_AT))
    near = next((place for place in around if _found(place, levels, roles)), None)
    advice = f"did you mean {near}?" if near else "give the folder that it was unpacked to."
    raise UsageError(f"{root}: {_state(root)}; {title} is known by {wanted} in its root; {advice}")


def images_in(folder: str | os.PathLike[str]) -> list[Path]:
    """As :func:`.list_images`, whose UsageError also names a folder near by that has images."""
    try:
        return list_images(folder)
    except UsageError as error:
        near = next(filter(_holds_images, _levels(Path(folder).expanduser())), None)
        if near is None:
            raise
        raise UsageError(f"{str(error).rstrip('.')}; did you mean {near}?") from None


def subfolders(folder: Path) -> list[Path]:
    """The folders directly in a folder, in alphabetical order; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except OSError:
        return []
    return [folder / name for name in names if os.path.isdir(folder / name)]  # noqa: PTH112


def _found(root: Path, levels: Sequence[str], roles: Sequence[Sequence[str]]) -> list[Path]:
    for level in levels:
        paths = [[path for name in role if _exists(path := root / level / name)] for role in roles]
        if all(paths):
            return [there[0] for there in paths]
    return []


def _exists(path: Path) -> bool:
    """Whether it is there; what may not be looked at is not."""
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises PermissionError)


def _state(root: Path) -> str:
    if not _exists(root):
        return "no such folder"
    try:
        return "not the right folder" if any(root.iterdir()) else "this folder is empty"
    except OSError as error:
        return f"cannot be listed as a folder ({error.strerror})"


def _levels(folder: Path) -> Iterator[Path]:
    """One level down, one level up, and the same name one level up or down."""
    yield from islice(subfolders(folder), LOOKED_AT)
    yield folder.parent.parent / folder.name
    for sibling in islice(subfolders(folder.parent), LOOKED_AT):
        yield sibling / folder.name
    yield folder.parent


def _holds_images(folder: Path) -> bool:
    try:
        return bool(list_images(folder))
    except UsageError:
        return False
