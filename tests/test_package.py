"""What importing the package does to the process, before torch is there."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("chosen", "spins"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
    ids=["nothing", "their number", "their policy"],
)
def test_threads_spin_briefly_unless_the_user_has_chosen(
    chosen: dict[str, str], spins: str
) -> None:
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    look = (
        "import os, sys, ir_lightning; "
        "print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))"
    )
    command = [sys.executable, "-c", look]
    done = subprocess.run(
        command, env=kept | chosen, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", spins]
