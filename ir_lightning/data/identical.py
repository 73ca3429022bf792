"""Files that hold the same bytes under different names."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ir_lightning.errors import DataError
from ir_lightning.files import file_hash


def first_of_identical(files: Sequence[Path]) -> list[Path]:
    """For every file, the first one in the sequence with the same bytes: mostly itself.

    Only files of the same size are read.

    Raises:
        DataError: a file cannot be read.
    """
    try:
        sizes = [file.stat().st_size for file in files]
        alike = Counter(sizes)
        first: dict[object, Path] = {}
        return [
            first.setdefault((size, file_hash(file)), file) if alike[size] > 1 else file
            for file, size in zip(files, sizes, strict=True)
        ]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}).") from None
