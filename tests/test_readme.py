"""README, docs/ and CONTRIBUTING keep their word: what they say to type works as shown."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import typer
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from ir_lightning.cli import app
from ir_lightning.launch.evaluate import may_be_changed
from ir_lightning.launch.run import run
from ir_lightning.networks import UNet
from ir_lightning.report.experiment import Experiment
from ir_lightning.report.write import write_report
from ir_lightning.training.weights import save_network
from tests.conftest import CONF, ROOT, SMALL
from tests.helpers.planting import plant_experiment

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text("utf-8")
TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
TARGETS += re.findall(r"^EXPERIMENTS := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
OWN = "--config-dir=conf"


class Block(NamedTuple):
    """One fenced block of a page."""

    page: str
    language: str
    text: str


BLOCKS = [
    Block(path.name, language, dedent(text))
    for path in PAGES
    for language, text in re.findall(
        r"^ *```(\w+)\n(.*?)^ *```", path.read_text("utf-8"), re.S | re.M
    )
]
COMMANDS = list(
    dict.fromkeys(
        re.sub(r"\s+#.*", "", line).strip()
        for block in BLOCKS
        if block.language == "bash"
        for line in block.text.replace("\\\n", " ").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    )
)
TRAINING = [c for c in COMMANDS if re.match(r"\.venv/bin/python train\.py |ir-lightning train ", c)]
TOOL = [c for c in COMMANDS if re.match(r"(\.venv/bin/)?ir-lightning (?!train )", c)]


# Those that choose an engine need its package; tests/cluster composes them.
COMPOSED = [c for c in TRAINING if "hydra/launcher" not in c and "--help" not in c and OWN not in c]


@pytest.mark.parametrize("command", COMPOSED)
def test_training_commands_compose(command: str) -> None:
    composes(command)


def composes(command: str, *more: str) -> None:
    """Compose what a command asks for, and look for every override in it."""
    words = [w for w in shlex.split(command)[2:] if w not in ("-m", "--fail-fast", OWN)]
    # Of what is swept, the first value.
    words = [re.sub(r"^([\w.@/]+=\w+),.*", r"\1", w) if "[" not in w else w for w in words]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=[*words, *more], return_hydra_config=True)
    for override in OverridesParser.create().parse_overrides(words):
        key = override.key_or_group
        if "/" not in key and not (CONF / key).is_dir():
            given = OmegaConf.create({"value": override.value()})
            chosen = OmegaConf.create({"value": OmegaConf.select(config, key)})
            assert given == chosen, key


@pytest.mark.parametrize("command", TOOL)
def test_commands_and_their_options_exist(command: str) -> None:
    _, *words = shlex.split(command)
    node: Any = typer.main.get_command(app)
    root = node
    while words and words[0] in getattr(node, "commands", {}):
        node = node.commands[words.pop(0)]
    assert node is not root, command
    known = {name for parameter in node.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    if node.name == "evaluate":
        assert all(may_be_changed(word) for word in words if "=" in word)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in TRAINING + TOOL])
def test_other_commands_name_what_there_is(command: str) -> None:
    program, *words = shlex.split(command)
    if program == "make":
        assert words[0] in " ".join(TARGETS).split()
    elif program == ".venv/bin/python":
        module = words[1].replace(".", "/") + ".py" if words[0] == "-m" else words[0]
        assert (ROOT / module).is_file()
    else:
        assert program == ".venv/bin/pip"
        extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
        assert set(re.findall(r"\w+", words[-1])) <= set(extras)


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_group_is_in_the_table_of_configuration() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    for group in CONF.iterdir():
        if group.is_dir() and group.name not in ("hydra", "scenes", "system"):
            assert f"`{group.name}`" in page, f"the group {group.name} is missing"


def test_every_option_of_the_metrics_and_engines_is_mentioned() -> None:
    pages = {"metric": "scoring.md", "hydra/launcher": "runs.md", "logger": "configuration.md"}
    for group, page in pages.items():
        text = (ROOT / "docs" / page).read_text("utf-8")
        for path in (CONF / group).glob("*.yaml"):
            assert path.stem in text, f"{page} does not mention {group}={path.stem}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        path, _, heading = target.partition("#")
        if "://" in target:
            continue
        there = page.parent / path if path else page
        assert there.exists(), target
        if heading:
            lines = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.M)
            assert heading in [re.sub(r"[^\w -]", "", n).lower().replace(" ", "-") for n in lines]


def test_what_python_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All snippets, with a run and the images that they speak of."""
    monkeypatch.chdir(tmp_path)
    config = {"_target_": "ir_lightning.networks.UNet", "depth": 1, "width": 4}
    (tmp_path / "runs" / "RUN").mkdir(parents=True)
    save_network(tmp_path / "runs" / "RUN", "generator", UNet(depth=1, width=4), config)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    scene = {"clean": torch.rand(1, 3, 16, 16), "depth": torch.rand(1, 1, 16, 16)}
    names = {"image": image, "restored": image // 2, "clean": image}
    for block in BLOCKS:
        if block.language == "python":
            about = scene if block.page == "data.md" else names
            exec(compile(block.text, block.page, "exec"), dict(about) if own(block) else about)


def own(block: Block) -> str:
    """The file that a block is the content of, or nothing."""
    first = re.match(r"(?:# @package .*\n)?# ([\w/]+\.(?:py|yaml))\n", block.text)
    return first[1] if first and block.page == "extending.md" else ""


@pytest.mark.slow
def test_a_part_is_added_by_one_class_and_one_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README's loss term, in a file of one's own, for the checkout stays as it is."""
    (source,) = [b.text for b in BLOCKS if b.language == "python" and "class Charbonnier" in b.text]
    (option,) = [b.text for b in BLOCKS if b.language == "yaml" and "Charbonnier" in b.text]
    (tmp_path / "charbonnier.py").write_text(source)
    (tmp_path / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "conf" / "loss" / "lsgan_charbonnier.yaml").write_text(
        option.replace("ir_lightning.losses", "charbonnier")
    )
    monkeypatch.syspath_prepend(tmp_path)
    curve = trained(tmp_path, "loss=lsgan_charbonnier")
    assert "train/charbonnier" in curve
    assert "train/l1" not in curve
    sys.modules.pop("charbonnier")


@pytest.fixture
def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with everything that extending.md shows."""
    for block in BLOCKS:
        if own(block):
            (tmp_path / own(block)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / own(block)).write_text(block.text)
    monkeypatch.syspath_prepend(tmp_path)
    _forget("mylab")
    yield tmp_path
    _forget("mylab")


def _forget(package: str) -> None:
    """Have a package imported anew: each test has its own of this name."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        sys.modules.pop(name)


@pytest.mark.slow
def test_the_parts_of_a_package_of_ones_own_train(laboratory: Path) -> None:
    """All of extending.md at once, and then the generator, which has neither of the modules."""
    for command in [c for c in TRAINING if OWN in c]:
        composes(command, f"hydra.searchpath=[file://{laboratory}/conf]")
    files = sorted((laboratory / "conf").glob("*/*.yaml"))
    shown = {path.parent.name: f"{path.parent.name}={path.stem}" for path in files}
    generator, metric = shown.pop("generator"), f"+{shown.pop('metric')}"
    callback = shown.pop("callbacks").replace("=", "=[") + "]"
    small = ["budget.crop=32", "depth=2"]
    curve = trained(laboratory, *shown.values(), *small, metric, callback)
    assert "train/adversarial" in curve
    assert "worst" in (laboratory / "run" / "test_images.csv").read_text()
    trained(laboratory, generator, shown["dataset"], *small, f"run_dir={laboratory}/other")


@pytest.mark.slow
def test_an_experiment_of_ones_own_is_reported(laboratory: Path) -> None:
    experiment = Experiment.named(str(laboratory / "methods.yaml"))
    assert len(experiment.jobs(budget="cpu")) == 6
    folder = plant_experiment(laboratory, report=experiment.report)
    write_report(folder, trust=["mylab"])
    text = (folder / "report.md").read_text()
    assert "**supported**: every seed is better" in text
    assert (folder / "figure.png").exists()


def trained(folder: Path, *overrides: str) -> str:
    """Train two iterations with the options in ``folder/conf``; the training curve."""
    asked = [f"hydra.searchpath=[file://{folder}/conf]", f"run_dir={folder}/run", *overrides]
    keys = {override.partition("=")[0] for override in asked}
    small = [override for override in SMALL if override.partition("=")[0] not in keys]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=[*small, *asked])
    assert run(config, [])["status"] == "finished"
    return (Path(config.run_dir) / "metrics.csv").read_text()


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "api.html").read_text("utf-8")
    for path in CONF.glob("*/*.yaml"):
        for name in re.findall(r"_target_: (ir_lightning\.[\w.]+)$", path.read_text("utf-8"), re.M):
            assert f'id="{name}"' in page or name[name.rfind(".") + 1].islower(), name
