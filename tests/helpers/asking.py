"""How the tests of `ir-lightning runs` ask it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from ir_lightning.cli import app

Hold = Callable[[Path], Any]
"""The fixture ``hold`` of conftest.py."""

FINISHED = {
    "status": "finished",
    "iterations": 2,
    "degraded": {"psnr": 20.0, "ssim": 0.5},
    "restored": {"psnr": 21.5, "ssim": 0.6},
}


def runs(*arguments: object) -> Result:
    """`ir-lightning runs ...` on a wide terminal."""
    wide = Console(highlight=False, width=200)
    with pytest.MonkeyPatch.context() as patch:  # the real one has been given the width of pytest
        patch.setattr("ir_lightning.cli.runs.console", wide)
        return CliRunner().invoke(app, ["runs", *map(str, arguments)])


def listed(*arguments: object) -> list[dict[str, Any]]:
    """What `list --json` says, in JSON as every reader knows it."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    rows: list[dict[str, Any]] = json.loads(
        runs("list", *arguments, "--json").stdout, parse_constant=refuse
    )
    return rows
