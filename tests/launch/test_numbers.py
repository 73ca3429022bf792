"""Every number in the table of limits is one that the configuration has."""

from omegaconf import OmegaConf

from ir_lightning.launch.numbers import NUMBERS, Limits
from tests.conftest import Compose


def test_every_limit_is_about_a_key_that_exists(composed: Compose) -> None:
    absent = object()
    missing = set(NUMBERS)
    for enhancer in ("infoaccum", "attention", "recursive", "scan"):
        config = composed(f"enhancer={enhancer}")
        missing -= {k for k in missing if OmegaConf.select(config, k, default=absent) is not absent}
    assert missing == set()


def test_limits_admit_their_ends_and_nothing_else() -> None:
    whole = Limits(1, 8)
    assert [whole.admit(value) for value in (0, 1, 8, 9)] == [False, True, True, False]
    assert not any(whole.admit(value) for value in (None, True, "3", 3.0))
    assert Limits(0, whole=False, optional=True).admit(0.5)
    assert Limits(0, optional=True).admit(None)
