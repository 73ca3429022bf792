"""What a GPU machine without a network lacks, in parts of at most 60 MB: ``make bundle``.

    python gpu/bundle.py                                   # code and packages
    python gpu/bundle.py --data FOLDER/rain800             # and a benchmark, file by file

It has to have CUDA, Python 3.12, and of this package's requirements all but those in WHEELS: most
images for PyTorch have them. There, in an empty folder:

    for part in *.tar; do tar xf $part; done
    bash gpu/bench.sh results                              # every figure that needs a GPU
    bash gpu/table2.sh results 12000 0                     # Table II on Rain800: iterations, seed
"""

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 60 * 10**6  # bytes of a part
BLOCK = 512  # bytes: what a file in a tar is rounded up to, and has for a header
WHEELS = (
    *("hydra-core", "omegaconf", "kornia", "kornia_rs", "safetensors"),
    *("albumentations", "albucore", "simsimd", "stringzilla"),
    *("pytest", "iniconfig", "pluggy"),
)
SOURCES = ("antlr4-python3-runtime",)
"""Those that come as source only, and hold nothing but Python."""
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux1")


def pins() -> dict[str, str]:
    """The tested versions, by the name of the package."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    found = (re.match(r"([\w.-]+)==(\S+)", line) for line in lines)
    return {match[1].replace("_", "-").lower(): match[2] for match in found if match}


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)


def fetch_wheels(folder: Path) -> None:
    """The wheels of Linux, x86-64 and Python 3.12, this package's own among them."""
    known = pins()
    wanted = [f"{name}=={known[name.replace('_', '-')]}" for name in WHEELS]
    target = ["--only-binary=:all:", "--python-version=3.12", "--implementation=cp"]
    target += [f"--platform={name}_x86_64" for name in PLATFORMS]
    pip("download", "-q", "--no-deps", *target, "-d", str(folder), *wanted)
    sources = [f"{name}=={known[name]}" for name in SOURCES]
    pip("wheel", "-q", "--no-deps", "-w", str(folder), *sources)
    pip("wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT))


def tracked() -> list[Path]:
    """The files of this version, relative to the root."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True, text=True
    )
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


Named = tuple[Path, str]
"""A file, and its name in the bundle."""


def parts(files: Iterable[Named], largest: int = LARGEST) -> list[list[Named]]:
    """Files and the names that they get, in as many parts as it takes, in their order.

    Raises:
        SystemExit: one file alone is too large.
    """
    packed: list[list[Named]] = []
    room = 0
    for path, name in files:
        size = 2 * BLOCK + -(-path.stat().st_size // BLOCK) * BLOCK
        if size > largest - 20 * BLOCK:
            sys.exit(f"{path}: {size / 1e6:.0f} MB are more than a part of {largest / 1e6:.0f} MB.")
        if size > room:
            packed.append([])
            room = largest - 20 * BLOCK  # a tar ends with a block of 20 of these
        packed[-1].append((path, name))
        room -= size
    return packed


def bundle(target: Path, data: Path | None) -> list[Path]:
    """Write the parts into ``target``, which is emptied before; returns them."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        wheels = Path(temporary)
        fetch_wheels(wheels)
        files = [(ROOT / path, str(path)) for path in tracked()]
        files += [(path, f"wheels/{path.name}") for path in sorted(wheels.glob("*.whl"))]
        if data:
            images = sorted(path for path in data.rglob("*") if path.is_file())
            files += [(path, f"data/{data.name}/{path.relative_to(data)}") for path in images]
        written = []
        for number, part in enumerate(parts(files), 1):
            written.append(target / f"{number}.tar")
            with tarfile.open(written[-1], "w", format=tarfile.GNU_FORMAT) as archive:
                for path, name in part:
                    archive.add(path, name)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of a benchmark that is packed, too")
    parser.add_argument("--out", type=Path, default=ROOT / "bundle")
    arguments = parser.parse_args()
    if arguments.data and not arguments.data.is_dir():
        sys.exit(f"--data {arguments.data}: there is no such folder.")
    for path in bundle(arguments.out, arguments.data):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
