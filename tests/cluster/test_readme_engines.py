"""README's commands that choose an engine compose, and so does every preset."""

import pytest

from tests.conftest import CONF
from tests.test_readme import TRAINING, composes

PRESETS = sorted(path.stem for path in (CONF / "hydra" / "launcher").glob("*.yaml"))


@pytest.mark.parametrize("command", [c for c in TRAINING if "hydra/launcher" in c])
def test_commands_with_an_engine_compose(command: str) -> None:
    composes(command)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_composes(preset: str) -> None:
    composes(f"python train.py hydra/launcher={preset}")
