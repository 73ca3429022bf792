"""speed=fast as a whole, with a tape where a GPU would record: the run is the exact one's."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ir_lightning.launch.config import load_config
from ir_lightning.launch.run import run
from ir_lightning.networks.generators.encoder_decoder import UNet
from ir_lightning.runs.identity import training_hash
from ir_lightning.runs.record import read_result
from ir_lightning.training.callbacks import speed
from tests.conftest import SMALL, TIMES, Compose
from tests.helpers.recording import TapeRecording

COMMON = (
    *("depth=2", "width=4", "budget.iterations=8", "budget.checkpoint_every=4", "threads=1"),
    *("budget.log_every=1", "schedule=constant", "optimizer.lr=0.000244140625"),
)


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> list[TapeRecording]:
    """The CPU takes the place of a GPU; the recordings that are made."""
    made: list[TapeRecording] = []

    def new() -> TapeRecording:
        made.append(TapeRecording())
        return made[-1]

    recorded = speed.RecordedSteps
    monkeypatch.setattr(speed, "on_gpu", lambda _: True)
    monkeypatch.setattr(speed, "RecordedSteps", lambda system: recorded(system, new))
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    yield made
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]
    torch.use_deterministic_algorithms(False)


def finished(config: Any) -> Path:
    """The directory of a run that has been trained."""
    run(config, [])
    (run_dir,) = (path.parent for path in Path(config.paths.runs).glob("*/result.json"))
    return run_dir


def curve(run_dir: Path) -> pd.DataFrame:
    return pd.read_csv(run_dir / "metrics.csv").drop(columns=list(TIMES))


def test_a_fast_run_is_the_exact_run(
    on_gpu: list[TapeRecording], composed: Compose, tmp_path: Path
) -> None:
    usual = (*SMALL, *COMMON)
    # In float32, so that the digits can be compared; NCHW, as the tape's convolutions add.
    wide = ("speed.precision=32-true", "speed.channels_last=false")
    fast = finished(composed(*usual, "speed=fast", *wide, f"paths.runs={tmp_path}/fast"))
    assert [tape.repeated for tape in on_gpu] == [4]
    exact = finished(composed(*usual, "speed=exact", f"paths.runs={tmp_path}/exact"))
    assert len(on_gpu) == 1
    pd.testing.assert_frame_equal(curve(fast), curve(exact))
    for name, weights in load_file(exact / "generator.safetensors").items():
        assert torch.equal(load_file(fast / "generator.safetensors")[name], weights)
    records = [read_result(each) for each in (fast, exact)]
    assert [record["speed"] for record in records] == ["fast", "exact"]
    assert all("not_recorded" not in record for record in records)
    assert records[0]["config_hash"] != records[1]["config_hash"]


@pytest.mark.usefixtures("on_gpu")
def test_a_fast_run_with_everything_on_trains_and_resumes(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = (*SMALL, *COMMON, "speed=fast", "speed.precision=32-true")
    whole = finished(composed(*overrides, f"paths.runs={tmp_path}/whole"))
    cut = composed(*overrides, f"paths.runs={tmp_path}/cut")
    with monkeypatch.context() as patch:
        patch.setattr(TapeRecording, "repeat", lambda _: 1 / 0)
        with pytest.raises(Exception, match="division by zero"):
            run(cut, [])
    # Iteration 4 was saved, with rates that are plain numbers again.
    state = torch.load(next((tmp_path / "cut").glob("*/checkpoints/last.ckpt")))
    assert state["iteration"] == 4
    for optimizer in state["optimizer_states"]:
        assert all(type(group["lr"]) is float for group in optimizer["param_groups"])
    resumed = finished(cut)
    pd.testing.assert_frame_equal(curve(resumed), curve(whole), rtol=1e-5)
    for name, weights in load_file(whole / "generator.safetensors").items():
        now = load_file(resumed / "generator.safetensors")[name]
        torch.testing.assert_close(now, weights, rtol=1e-4, atol=1e-6)


def test_why_a_run_was_not_recorded_stands_in_its_record(
    on_gpu: list[TapeRecording], composed: Compose
) -> None:
    sgd = ("optimizer._target_=torch.optim.SGD", "~optimizer.betas", "~optimizer.fused")
    config = composed(*SMALL, *COMMON, "speed=fast", "speed.precision=32-true", *sgd)
    with pytest.warns(UserWarning, match="speed.graph: iterations are not recorded"):
        run_dir = finished(config)
    assert not on_gpu
    assert read_result(run_dir)["not_recorded"] == "SGD cannot be recorded"


def test_what_optimizers_remember_lies_as_the_weights_do() -> None:
    network = UNet(depth=2, width=4)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    network(torch.rand(1, 3, 16, 16)).mean().backward()
    adam.step()
    moments = {p: state["exp_avg"].clone() for p, state in adam.state.items()}
    speed.widen(network, [adam])
    wide = [p for p in network.parameters() if p.ndim == 4 and min(p.shape[1:3]) > 1]
    assert wide
    for weight in network.parameters():
        remembered = adam.state[weight]["exp_avg"]
        assert remembered.stride() == weight.stride()
        assert torch.equal(remembered, moments[weight])
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in wide)
    speed.lay_out(network, torch.contiguous_format)
    assert all(p.is_contiguous() for p in network.parameters())
    assert before.keys() == dict(network.named_parameters()).keys()


@pytest.mark.parametrize(
    ("accelerator", "gpu", "name"),
    [("auto", True, "fast"), ("auto", False, "exact"), ("cpu", True, "exact")],
)
def test_a_machine_gets_the_speed_that_it_is_made_for(
    accelerator: str, gpu: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "win32" if gpu else "linux")  # no driver's file is needed
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    config = load_config([f"trainer.accelerator={accelerator}"])
    assert config.speed.name == name
    assert config.trainer.precision == {"fast": "bf16-mixed", "exact": "32-true"}[name]


def test_a_setting_holds_whichever_speed_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ir_lightning.launch.config.device_here", lambda _: "gpu")
    chosen = load_config(["speed.graph=false"]).speed
    assert (chosen.name, chosen.graph, chosen.channels_last) == ("fast", False, True)
    assert chosen == load_config(["speed=fast", "speed.graph=false"]).speed


def test_the_precision_may_be_left_to_a_plugin(composed: Compose) -> None:
    assert "precision" not in composed("~trainer.precision").trainer


def test_the_speed_is_part_of_what_a_run_is(composed: Compose) -> None:
    same = "speed.precision=32-true"
    hashes = [
        training_hash(composed(*SMALL, *each))
        for each in (
            (),
            ("speed=exact",),
            ("speed=fast", same),
            ("speed=fast", same, "speed.graph=false"),
            ("speed=fast", same, "speed.channels_last=false"),
        )
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4


def test_a_cpu_has_nothing_of_it_but_the_precision(composed: Compose, tmp_path: Path) -> None:
    runs = [
        finished(composed(*SMALL, *COMMON, *each, f"paths.runs={tmp_path}/{len(each)}", "seed=1"))
        for each in (("speed=fast", "speed.precision=32-true"), ("speed=exact",))
    ]
    pd.testing.assert_frame_equal(*map(curve, runs))


def test_modules_are_laid_out_in_place() -> None:
    layer = nn.Conv2d(4, 4, 3)
    weight = layer.weight
    speed.lay_out(layer, torch.channels_last)
    assert layer.weight is weight
