"""The promises of the architecture, each with a breach that must be noticed."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.helpers import architecture

Check = Callable[[Path], list[str]]
Breach = tuple[Check, str, str]

SEVERAL = "\n".join(f"def f{number}() -> None: ..." for number in range(401))
LONG = "def f() -> None:\n" + "    print()\n" * 60
OPEN = "class Open:\n    def __init__(self, **kwargs: int) -> None: ...\n"
SWITCH = 'def f(node: dict[str, str]) -> bool:\n    return node["kind"] == "curve"\n'
ALIAS = "def f(config: dict[str, int]) -> int:\n    return config['depth']\n"

BREACHES: dict[str, Breach] = {
    "an upward import": (
        architecture.upward_imports,
        "ir_lightning/networks/planted.py",
        "from ir_lightning.training import loop\n",
    ),
    "a lazy upward import": (
        architecture.upward_imports,
        "ir_lightning/runs/planted.py",
        "def f() -> None:\n    from ir_lightning.report.runs import collect\n",
    ),
    "a circle": (
        architecture.circles,
        "ir_lightning/networks/generators/unet.py",
        "from ir_lightning.networks.discriminators import patchgan\n",
    ),
    "a file of 401 lines": (architecture.long_files, "ir_lightning/losses/planted.py", SEVERAL),
    "a 13th module": (architecture.full_folders, "ir_lightning/losses/planted{}.py", "x = 1\n"),
    "a function of 61 lines": (
        architecture.long_functions,
        "ir_lightning/losses/planted.py",
        LONG,
    ),
    "a constructor that takes anything": (
        architecture.open_constructors,
        "ir_lightning/losses/planted.py",
        OPEN,
    ),
    "a class name for two things": (
        architecture.shared_class_names,
        "ir_lightning/losses/planted.py",
        "class UNet: ...\n",
    ),
    "a switch on names": (architecture.switches, "ir_lightning/losses/planted.py", SWITCH),
    "a long target": (
        architecture.long_targets,
        "conf/loss/planted.yaml",
        "l1: {_target_: ir_lightning.losses.pixel.L1}\n",
    ),
    "an argument that no constructor takes": (
        architecture.unread_arguments,
        "conf/loss/planted.yaml",
        "l1: {_target_: ir_lightning.losses.L1, wieght: 1.0}\n",
    ),
    "a key that nothing reads": (
        architecture.unread_keys,
        "conf/budget/planted.yaml",
        "budget: {nobody_reads_this: 1}\n",
    ),
    "a value that two keys set": (
        architecture.values_of_two_keys,
        "ir_lightning/launch/planted.py",
        ALIAS,
    ),
}


@pytest.mark.parametrize("check", dict.fromkeys(check for check, _, _ in BREACHES.values()))
def test_the_promise_is_kept(check: Check) -> None:
    assert check(ROOT) == []


@pytest.mark.slow
@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_noticed(breach: str, tmp_path: Path) -> None:
    check, place, content = BREACHES[breach]
    for folder in ("ir_lightning", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    before = check(tmp_path)
    for name in {place.format(number) for number in range(13)}:
        path = tmp_path / name
        path.write_text((path.read_text("utf-8") if path.exists() else "") + content, "utf-8")
    if breach == "a circle":
        other = tmp_path / "ir_lightning/networks/discriminators/patchgan.py"
        other.write_text("from ir_lightning.networks.generators import unet\n", "utf-8")
    assert len(check(tmp_path)) > len(before)


def test_runs_on_disk_are_read_without_torch() -> None:
    names = [name for name in architecture.modules(ROOT) if name.startswith("runs.")]
    imports = "; ".join(f"import ir_lightning.{name}" for name in names)
    program = f"import sys; {imports}; print(sorted({{'torch', 'lightning'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_networks_and_systems_know_no_configuration() -> None:
    for name, path in architecture.modules(ROOT).items():
        if name.partition(".")[0] in ("networks", "losses", "metrics", "systems"):
            text = path.read_text("utf-8")
            assert "import omegaconf" not in text, name
            assert "from omegaconf" not in text, name
            assert "hydra" not in text, name
