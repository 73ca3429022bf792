"""Writing files so that a reader, or a crash, never meets half of one."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import IO, Any

TEMPORARY = re.compile(r"\..+\.(ckpt|csv|json|png|safetensors|yaml|log)\.[a-z0-9_]{8}")
UMASK = os.umask(0)  # it can only be read by being set
os.umask(UMASK)
FILE_MODE = 0o666 & ~UMASK & ~0o002  # as the user's umask says, but never writable for everybody
DIRECTORY_MODE = 0o777 & ~UMASK & ~0o002


@contextmanager
def atomic_write(path: Path, mode: str = "w", keep: Path | None = None) -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path``; it takes the name when everything is on the disk.

    If the block fails, ``path`` is untouched and the temporary file is gone.

    Args:
        path: the file to write or replace.
        mode: ``w`` or ``wb``.
        keep: the file that ``path`` has been until now gets this name, once the new one is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        os.fchmod(handle, FILE_MODE)
        encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
        with os.fdopen(handle, mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # a failed write does not say of which file
        raise
    with suppress(OSError):  # the renaming itself, where the system can
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def temporaries(directory: Path) -> list[Path]:
    """What a killed process has left of :func:`atomic_write` in a folder and below it."""
    return [p for p in directory.rglob(".*") if TEMPORARY.fullmatch(p.name) and p.is_file()]


def remove_temporaries(directory: Path) -> None:
    """Remove them; only for a folder to which nobody else writes at the time."""
    for path in temporaries(directory):
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that every reader accepts: an infinite number becomes the string ``"inf"``."""
    with atomic_write(path) as file:
        json.dump(finite(value), file, indent=2, allow_nan=False)
        file.write("\n")


def finite(value: Any) -> Any:
    """The value with ``inf`` and ``nan``, which JSON does not have, as strings."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    if isinstance(value, float) and value - value != 0.0:
        return str(value)
    return value


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
