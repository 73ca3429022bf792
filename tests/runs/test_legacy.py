"""Records, configurations and checkpoints of earlier versions are read in today's words."""

import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ir_lightning.build import TRAININGS, refuse_untrusted
from ir_lightning.launch.config import load_config
from ir_lightning.runs.identity import evaluation_hash, training_hash
from ir_lightning.runs.legacy import current_config, current_record, current_system_state
from ir_lightning.runs.record import read_result


def as_before(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of today in the words of before optimisation and evaluation were parts."""
    old: dict[str, Any] = json.loads(json.dumps(config))
    optimization, evaluation = old.pop("optimization"), old["evaluation"]
    for key in ("metrics", "choose_by", "validation_protocol", "validation_metrics"):
        del evaluation[key]
    weights = {
        key: value for key, value in evaluation.items() if key not in ("weights", "_target_")
    }
    recipe = {**optimization, **weights, "_target_": "ir_lightning.systems.recipe.Recipe"}
    recipe |= {"won_accuracy": 0.95, "won_iterations": 500}
    del evaluation["_target_"]
    system = old["system"]
    for key in ("optimization", "evaluation", "saturated_accuracy", "saturated_iterations"):
        system.pop(key, None)
    system["recipe"] = old["recipe"] = recipe
    system["generator"]["_target_"] = "ir_lightning.networks.generators.unet.UNet"
    plain: dict[str, Any] = json.loads(json.dumps(old))  # as from a file: nothing is shared
    return plain


def test_an_old_configuration_is_the_same_training_and_evaluation() -> None:
    for overrides in ([], ["loss=mse"], ["evaluation.weights=last"]):
        now: Any = OmegaConf.to_container(load_config(overrides), resolve=True)
        renewed = current_config(as_before(now))
        assert "recipe" not in renewed
        assert training_hash(renewed) == training_hash(now)
        assert evaluation_hash(renewed) == evaluation_hash(now)
        assert renewed["system"].keys() == now["system"].keys()
        assert renewed["evaluation"]["metrics"] == now["evaluation"]["metrics"]
        refuse_untrusted(renewed, "config.yaml", TRAININGS)


def test_the_first_protocol_chose_the_weights_of_an_old_run() -> None:
    luma = ["evaluation.protocols=[y-matlab,rgb8]"]
    plain: Any = OmegaConf.to_container(load_config(luma), resolve=True)
    now: Any = OmegaConf.to_container(
        load_config([*luma, "evaluation.validation_protocol=y-matlab"]), resolve=True
    )
    renewed = current_config(as_before(plain))
    assert training_hash(renewed) == training_hash(now) != training_hash(plain)
    assert evaluation_hash(renewed) == evaluation_hash(now)


def test_an_old_sub_pixel_convolution_began_normal() -> None:
    """Also by its former name; what says how it began, or is something else, stays."""
    asked = ["upsampler=subpixel"]
    now: Any = OmegaConf.to_container(load_config([*asked, "upsampler.init=normal"]), resolve=True)
    before = json.loads(json.dumps(now))
    for node in (before, before["generator"], before["system"]["generator"]):
        node["upsampler"] = {
            "_target_": "ir_lightning.networks.upsamplers.subpixel.SubPixel",
            "levels": "top",
        }
    renewed = current_config(before)
    for node in (renewed, renewed["generator"], renewed["system"]["generator"]):
        assert node["upsampler"]["init"] == "normal"
    assert training_hash(renewed) == training_hash(now) != training_hash(load_config(asked))
    icnr: Any = OmegaConf.to_container(load_config(asked), resolve=True)
    assert current_config(icnr) == icnr


def test_what_is_up_to_date_passes_unchanged() -> None:
    now: Any = OmegaConf.to_container(load_config([]), resolve=True)
    assert current_config(now) == now
    record = {"overrides": ["depth=3"], "d_saturated_at": None}
    assert current_record(record) == record
    assert current_config({"anything": 1}) == {"anything": 1}


def test_old_keys_of_records_and_buffers(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"asked": ["depth=3"], "discriminator_won_at": 7}')
    assert read_result(tmp_path) == {"overrides": ["depth=3"], "d_saturated_at": 7}
    state = {"wins": 1, "won_at": 2, "generator.x": 3}
    new = {"d_saturated_for": 1, "d_saturated_at": 2, "generator.x": 3}
    assert current_system_state(state) == new


def test_a_run_from_before_there_was_a_choice_is_exact() -> None:
    now: Any = OmegaConf.to_container(load_config(["speed=exact"]), resolve=True)
    before = {key: value for key, value in now.items() if key != "speed"}
    assert current_config(before) == now
    assert current_config(now) == now
