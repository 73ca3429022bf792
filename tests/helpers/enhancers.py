"""Options of conf/enhancer as a configuration gives them."""

from typing import Any

from omegaconf import OmegaConf

from tests.conftest import compose_once


def configured(option: str, **changed: Any) -> dict[str, Any]:
    """The option as plain values, some of them changed, where it has these keys."""
    composed = compose_once((f"enhancer={option}",))
    node: Any = OmegaConf.to_container(composed.enhancer, resolve=True)
    return node | {key: value for key, value in changed.items() if key in node}
