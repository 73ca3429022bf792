"""A run begins with the networks of another one, which may be trained first in the same command."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ir_lightning.build import build
from ir_lightning.errors import RunError, UsageError
from ir_lightning.launch.preflight import check
from ir_lightning.launch.run import run
from ir_lightning.runs.identity import training_hash
from ir_lightning.runs.record import read_result
from ir_lightning.training.weights import begin_with, save_network
from tests.conftest import SMALL, Compose

pytestmark = pytest.mark.slow

STEP = (*SMALL, "depth=3", "budget.test_images=1")
FROZEN = "optimizer.lr=0"  # what a run begins with is then what it ends with


def directories(runs: Path) -> dict[str, Path]:
    """The finished runs by what they were asked, in a word."""
    found = {}
    for path in runs.glob("*/result.json"):
        record = read_result(path.parent)
        assert record["status"] == "finished"
        found["reconstruction" if "task=reconstruction" in record["overrides"] else "run"] = (
            path.parent
        )
    return found


def test_reconstruction_first_in_one_command(composed: Compose, tmp_path: Path) -> None:
    asked = [*STEP, "loss=gan", "pretrain=reconstruction", FROZEN]
    run(composed(*asked), asked)
    runs = directories(tmp_path / "runs")
    first, then = (
        load_file(runs[name] / "generator.safetensors") for name in ("reconstruction", "run")
    )
    assert first.keys() == then.keys()
    assert all(torch.equal(first[name], then[name]) for name in first)
    record = read_result(runs["reconstruction"])
    assert "pretrain=reconstruction" not in record["overrides"]
    assert "loss=gan" not in record["overrides"]  # the first run's own, mse, has taken its place
    assert not (runs["reconstruction"] / "discriminator.safetensors").exists()


def test_the_first_run_is_trained_once(composed: Compose, tmp_path: Path) -> None:
    for loss in ("gan", "lsgan"):
        asked = [*STEP, f"loss={loss}", "pretrain=reconstruction"]
        run(composed(*asked), asked)
    first = directories(tmp_path / "runs")["reconstruction"]
    assert [path.name for path in (first / "attempts").iterdir()] == ["1"]
    assert len(list((tmp_path / "runs").glob("*/result.json"))) == 3


def test_a_named_run_and_a_chained_one_are_the_same_run(composed: Compose, tmp_path: Path) -> None:
    asked = [*STEP, "pretrain=reconstruction"]
    chained = training_hash(check(composed(*asked), asked).config)
    first = [*STEP, "task=reconstruction", "loss=mse"]
    record = run(composed(*first), first)
    place = directories(tmp_path / "runs")["reconstruction"]
    moved = tmp_path / "elsewhere"  # where it lies is not what it is
    for word in (record["config_hash"], str(place), str(moved)):
        if word == str(moved):
            place.rename(moved)
        named = check(composed(*STEP, f"pretrain.generator='{word}'")).config
        assert training_hash(named) == chained
    plain = training_hash(check(composed(*STEP)).config)
    assert plain != chained


def test_a_discriminator_from_other_data(composed: Compose, tmp_path: Path) -> None:
    asked = [*STEP, "pretrain=extra_data", FROZEN]
    run(composed(*asked), asked)
    weights = {
        read_result(path.parent)["dataset"]: load_file(path)
        for path in (tmp_path / "runs").glob("*/discriminator.safetensors")
    }
    assert weights.keys() == {"rain", "rain_density"}
    for name, tensor in weights["rain"].items():
        assert torch.equal(tensor, weights["rain_density"][name])
    records = [read_result(path.parent) for path in (tmp_path / "runs").glob("*/result.json")]
    (ours,) = (record for record in records if record["dataset"] == "rain")
    (theirs,) = (record for record in records if record["dataset"] == "rain_density")
    assert ours["pretrained"] == theirs["iterations"], "what a comparison has to count"
    assert "pretrained" not in theirs


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pretrain.generator=nothing"], r"pretrain\.generator=nothing: there is no such run"),
        (["pretrain.generator=81533e9077"], r"pretrain\.generator=inf: .* number; quote it"),
        (["pretrain.generator=first"], r"pretrain\.first has no overrides"),
        (["pretrain=reconstruction", "trainer.devices=2"], r"trainer\.devices=2.*several devices"),
        (
            ["pretrain=reconstruction", "pretrain.discriminator=first"],
            r"pretrain\.discriminator: .* has trained no discriminator",
        ),
        (
            ["pretrain=extra_data", "loss=mse"],
            r"pretrain\.discriminator is given, but this run has no discriminator",
        ),
    ],
)
def test_what_cannot_work_is_refused(words: list[str], sentence: str, composed: Compose) -> None:
    with pytest.raises(UsageError, match=sentence):
        check(composed(*STEP, *words), [*STEP, *words])


def test_another_network_is_refused_with_what_differs(composed: Compose) -> None:
    first = [*STEP, "task=reconstruction"]
    digest = run(composed(*first), first)["config_hash"]
    with pytest.raises(UsageError, match=r"another generator \(depth: 3 there, 2 here\)"):
        check(composed(*SMALL, "depth=2", f"pretrain.generator='{digest}'"))


def test_a_network_in_other_words_is_the_same_one(composed: Compose, tmp_path: Path) -> None:
    """As an earlier version wrote it, and with a default left out."""
    run(composed(*STEP, f"run_dir={tmp_path}/first"), [])
    config = tmp_path / "first" / "config.yaml"
    words = config.read_text().replace("networks.UNet", "networks.generators.unet.UNet")
    config.write_text(re.sub(r" *dropout: 0\.0\n", "", words))
    check(composed(*STEP, f"pretrain.generator='{tmp_path}/first'"))


LAYER = {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 3, "kernel_size": 1}


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
def test_the_best_weights_are_what_a_run_begins_with(kind: str, tmp_path: Path) -> None:
    """Also those of a run that was tested with its last ones."""
    best, last, begun = (build(LAYER, "layer") for _ in range(3))
    save_network(tmp_path, kind, last, LAYER)
    (tmp_path / "checkpoints").mkdir()
    torch.save({kind: best.state_dict()}, tmp_path / "checkpoints" / "best.ckpt")
    for weights, kept in (("best", last), ("last", best)):
        (tmp_path / "config.yaml").write_text(f"evaluation: {{weights: {weights}}}")
        begin_with(begun, kind, tmp_path)
        assert torch.equal(begun.weight, kept.weight)


def test_an_earlier_version_kept_only_its_last_discriminator(tmp_path: Path) -> None:
    last, begun = (build(LAYER, "layer") for _ in range(2))
    save_network(tmp_path, "discriminator", last, LAYER)
    (tmp_path / "checkpoints").mkdir()
    best = {"generator": build(LAYER, "layer").state_dict()}
    torch.save(best, tmp_path / "checkpoints" / "best.ckpt")
    for weights in ("best", "last"):
        (tmp_path / "config.yaml").write_text(f"evaluation: {{weights: {weights}}}")
        begin_with(begun, "discriminator", tmp_path)
        assert torch.equal(begun.weight, last.weight)


@pytest.mark.parametrize("tested", ["best", "last"])
def test_the_discriminator_that_is_handed_on_stood_beside_the_generator(
    tested: str, composed: Compose, tmp_path: Path
) -> None:
    """Both are those of the iteration of the best validation, which is not the last one."""
    usual = [*SMALL, "depth=2", "width=4", "discriminator.layers=3", "budget.test_images=1"]
    usual += ["schedule=constant", "optimizer.lr=0.03", "budget.checkpoint_every=2"]
    first = [*usual, "budget.iterations=6", f"evaluation.weights={tested}"]
    best = run(composed(*first, f"run_dir={tmp_path}/first"), first)["best_validation"]["iteration"]
    assert best < 6
    until_then = [*usual, f"budget.iterations={best}", f"run_dir={tmp_path}/until_then"]
    run(composed(*until_then), until_then)
    handed_on = [f"pretrain.{kind}='{tmp_path}/first'" for kind in ("generator", "discriminator")]
    then = [*usual, "budget.iterations=2", *handed_on, FROZEN, f"run_dir={tmp_path}/then"]
    run(composed(*then), then)
    for kind in ("generator", "discriminator"):
        file = f"{kind}.safetensors"
        begun, expected = (load_file(tmp_path / run / file) for run in ("then", "until_then"))
        assert all(torch.equal(begun[name], expected[name]) for name in expected), kind
        kept = load_file(tmp_path / "first" / file)
        same = all(torch.equal(kept[name], expected[name]) for name in expected)
        assert same == (tested == "best"), "what lies side by side goes together"


def test_a_run_that_has_failed_is_no_beginning(composed: Compose, tmp_path: Path) -> None:
    first = [*STEP, "task=reconstruction", "optimizer.lr=1e30"]
    with pytest.raises(RunError):
        run(composed(*first), first)
    (failed,) = (tmp_path / "runs").iterdir()
    with pytest.raises(UsageError, match="is failed: it must have finished"):
        check(composed(*STEP, f"pretrain.generator='{failed}'"))


def test_a_first_run_that_fails_fails_the_run(composed: Compose, tmp_path: Path) -> None:
    asked = [*STEP, "pretrain=reconstruction", "optimizer.lr=1e30"]
    with pytest.raises(RunError, match="diverged"):
        run(composed(*asked), asked)
    records = [read_result(path.parent) for path in (tmp_path / "runs").glob("*/result.json")]
    assert [record["status"] for record in records] == ["failed", "failed"]


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_network(tmp_path, "discriminator", build(LAYER, "layer"), LAYER)
    other = build(LAYER | {"out_channels": 4}, "layer")
    with pytest.raises(UsageError, match="do not fit"):
        begin_with(other, "discriminator", tmp_path)
    with pytest.raises(UsageError, match="is not there; train that run again"):
        begin_with(other, "generator", tmp_path)
