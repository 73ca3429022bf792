"""What every degradation model promises, whatever its equation."""

import inspect
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from ir_lightning.data.degradations.blended_rain import BlendedRain
from ir_lightning.data.degradations.camera import CameraNoise
from ir_lightning.data.degradations.degradation import Degradation
from ir_lightning.data.degradations.models import (
    Haze,
    HeavyRain,
    Noise,
    Rain,
    RainDensity,
    RainHaze,
)
from ir_lightning.data.degradations.streaks import Streaks
from ir_lightning.errors import UsageError
from ir_lightning.launch.config import load_config
from tests.helpers.scenes import photograph, slope

MODELS: dict[str, Degradation] = {
    "noise": CameraNoise(),
    "haze": Haze(),
    "rain": BlendedRain(),
    "rain_strong": Rain(),
    "rain_density": RainDensity(),
    "rain_haze": RainHaze(),
    "heavy_rain": HeavyRain(),
}
EVERY = {**MODELS, "linear_noise": Noise()}
every_model = pytest.mark.parametrize("model", EVERY.values(), ids=EVERY.keys())
FORMER = {"haze", "heavy_rain"}
"""Their defaults are what runs of 0.1.0, whose configurations leave keys out, were trained with."""


@every_model
def test_a_seed_gives_the_same_image_again_and_global_generators_are_left_alone(
    model: Degradation,
) -> None:
    def state() -> tuple[bytes, str]:
        return torch.get_rng_state().numpy().tobytes(), str(np.random.get_state())

    before = state()
    first = model(photograph(), slope(), seed=3)
    assert state() == before
    torch.rand(1)
    assert torch.equal(first, model(photograph(), slope(), seed=3))


@every_model
def test_other_seeds_and_other_places_in_a_batch_give_other_degradations(
    model: Degradation,
) -> None:
    same = photograph(1).expand(3, -1, -1, -1)
    depth = slope(3)
    images = [*model(same, depth, seed=0), *model(same, depth, seed=1)]
    for i, image in enumerate(images):
        for other in images[:i]:
            assert (image - other).abs().max() > 1e-3


@every_model
def test_an_image_does_not_depend_on_the_rest_of_its_batch(model: Degradation) -> None:
    clean, depth = photograph(3), slope(3)
    together = model(clean, depth, seed=[11, 12, 13])
    for b in range(3):
        alone = model(clean[b : b + 1], depth[b : b + 1], seed=[11 + b])
        torch.testing.assert_close(alone[0], together[b], atol=1e-6, rtol=0)
    one = model(clean[:1], depth[:1], seed=7)
    torch.testing.assert_close(one[0], model(clean, depth, seed=7)[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(one, model(clean[:1], depth[:1], seed=[7]))


@every_model
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 9), (64, 33)], ids=str)
def test_any_size_comes_back_in_range(model: Degradation, size: tuple[int, int]) -> None:
    clean = torch.rand(2, 3, *size)
    degraded = model(clean, torch.rand(2, 1, *size), seed=0)
    assert degraded.shape == clean.shape
    assert degraded.min() >= 0
    assert degraded.max() <= 1
    assert degraded.isfinite().all()


@every_model
def test_every_type_gets_the_same_degradation(model: Degradation) -> None:
    clean, depth = photograph(), slope()
    exact = model(clean.double(), depth.double(), seed=2)
    assert exact.dtype == torch.float64
    for dtype, tolerance in [(torch.float32, 1e-4), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)]:
        degraded = model(clean.to(dtype), depth.to(dtype), seed=2)
        assert degraded.dtype == dtype
        torch.testing.assert_close(degraded.double(), exact, atol=tolerance, rtol=0)


@every_model
def test_everything_is_computed_on_the_images_device(model: Degradation) -> None:
    degraded = model(photograph().to("meta"), slope().to("meta"), seed=2)
    assert degraded.device.type == "meta"
    assert degraded.shape == photograph().shape


@every_model
def test_depth_is_asked_for_where_the_equation_needs_it(model: Degradation) -> None:
    if model.needs_depth:
        with pytest.raises(UsageError, match=f"{type(model).__name__} needs the depth"):
            model(photograph(), seed=0)
        with pytest.raises(ValueError, match="depth must be"):
            model(photograph(), slope(batch=1), seed=0)
    else:
        without, with_depth = model(photograph(), seed=0), model(photograph(), slope(), seed=0)
        assert torch.equal(without, with_depth)


def test_depth_is_needed_exactly_by_the_models_with_haze() -> None:
    needing = {name for name, model in MODELS.items() if model.needs_depth}
    assert needing == {"haze", "rain_haze", "heavy_rain"}


def test_what_is_no_batch_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match="floats"):
        Rain()(photograph()[0], seed=0)
    with pytest.raises(ValueError, match="floats"):
        Rain()((255 * photograph()).byte(), seed=0)
    with pytest.raises(ValueError, match="3 seeds for a batch of 2"):
        Rain()(photograph(), seed=[1, 2, 3])


@pytest.mark.parametrize(
    ("model", "parameter", "value", "message"),
    [
        (Haze, "beta", [1.8, 0.6], "beta"),
        (Haze, "beta", [0.1, 0.2, 0.3], "beta"),
        (Haze, "beta", "thick", "beta"),
        (Haze, "light", 1.2, "light"),
        (Haze, "distance", [2, 1], "distance"),
        (Haze, "near", 1.5, "near"),
        (HeavyRain, "near", -0.1, "near"),
        (Noise, "shot", -0.1, "shot"),
        (RainDensity, "level", [5, 35], "level"),
        (HeavyRain, "blur", 5, "blur"),
        (Streaks, "density", 2, "density"),
        (Streaks, "scales", [], "scales"),
        (RainHaze, "weather", [[0.01, 0.02, 0.01]], "alpha >= beta"),
        (RainHaze, "weather", [], "weather"),
    ],
)
def test_impossible_parameters_are_refused_by_name(
    model: Callable[..., object], parameter: str, value: object, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        model(**{parameter: value})


@pytest.mark.parametrize("name", MODELS)
def test_the_configuration_names_every_parameter_and_gives_the_defaults(name: str) -> None:
    written = load_config([f"dataset={name}"]).dataset.composition
    model = instantiate(written)
    assert type(model) is type(MODELS[name])
    if name not in FORMER:
        assert parameters(model) == parameters(MODELS[name])
    assert set(written) == {"_target_", *inspect.signature(type(model)).parameters}
    if "streaks" in written:
        assert set(written.streaks) == {"_target_", *inspect.signature(Streaks).parameters}


def parameters(model: object) -> dict[str, object]:
    values = vars(model)
    return {k: parameters(v) if isinstance(v, Streaks) else v for k, v in values.items()}
