"""README keeps its word: its commands compose, and its way to add a part works as shown."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ir_lightning.cli import app
from ir_lightning.launch.run import run
from tests.conftest import CONF, ROOT, SMALL

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)
COMMANDS = [
    re.sub(r"\s+#.*", "", line)
    for kind, text in BLOCKS
    if kind == "bash"
    for line in text.replace("\\\n", " ").splitlines()
    if line.startswith(".venv/bin/")
]


# Those that choose an engine need its package; tests/cluster composes them.
TRAINING = [c for c in COMMANDS if "train.py" in c and "--help" not in c]


@pytest.mark.parametrize("command", [c for c in TRAINING if "hydra/launcher" not in c])
def test_training_commands_compose(command: str) -> None:
    composes(command)


def composes(command: str) -> None:
    """Compose what a command asks for, and look for every override in it."""
    flags = ("-m", "--fail-fast")
    overrides = [o for o in shlex.split(command)[2:] if o not in flags]
    single = [re.sub(r"^(\w+=\w+),.*", r"\1", o) if "[" not in o else o for o in overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=single, return_hydra_config=True)
    for override in single:
        key, value = override.split("=", 1)
        if "/" not in key and not (CONF / key).is_dir():
            assert str(OmegaConf.select(config, key)) == value


@pytest.mark.parametrize("command", [c for c in COMMANDS if "ir-lightning" in c])
def test_commands_and_their_options_exist(command: str) -> None:
    import typer

    click_app = typer.main.get_command(app)
    _, *words = shlex.split(command)
    node = click_app
    while words and words[0] in getattr(node, "commands", {}):
        node = node.commands[words.pop(0)]
    assert node is not click_app, command
    known = {name for parameter in node.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_every_group_is_in_the_table() -> None:
    for group in CONF.iterdir():
        if group.is_dir() and group.name not in ("hydra", "scenes", "system"):
            assert f"`{group.name}`" in README, f"README does not mention the group {group.name}"


def test_a_part_is_added_by_one_class_and_one_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = [text for kind, text in BLOCKS if kind == "python" and "class Charbonnier" in text]
    (yaml,) = [text for kind, text in BLOCKS if kind == "yaml" and "Charbonnier" in text]
    (tmp_path / "charbonnier.py").write_text(source)
    (tmp_path / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "conf" / "loss" / "lsgan_charbonnier.yaml").write_text(
        yaml.replace("ir_lightning.losses.charbonnier", "charbonnier")
    )
    monkeypatch.syspath_prepend(tmp_path)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        added = [f"hydra.searchpath=[file://{tmp_path}/conf]", "loss=lsgan_charbonnier"]
        config = compose("train", overrides=[*SMALL, f"run_dir={tmp_path}/run", *added])
    result = run(config, [])
    assert result["status"] == "finished"
    assert "train/charbonnier" in (tmp_path / "run" / "metrics.csv").read_text()
    assert "train/l1" not in (tmp_path / "run" / "metrics.csv").read_text()
    sys.modules.pop("charbonnier")
