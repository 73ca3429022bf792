"""Weights and configuration of a generator in one file, read without running code."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from ir_lightning.build import NETWORKS, build, refuse_untrusted
from ir_lightning.errors import DataError, UsageError
from ir_lightning.files import atomic_write
from ir_lightning.runs.legacy import CONFIG

FILE = "{}.safetensors"  # of the network of a kind
GENERATOR_FILE = FILE.format("generator")
UNREADABLE = (OSError, ValueError, yaml.YAMLError, KeyError, TypeError)  # a file, or a key in it


def save_network(
    run_dir: str | os.PathLike[str], kind: str, network: nn.Module, config: Mapping[str, Any]
) -> None:
    """Write ``KIND.safetensors``, complete or not at all: weights, in their own types, and
    ``config``, plain values with a ``_target_`` that rebuild the network.
    """
    # Copies: safetensors refuses tensors that share memory, as those of a recursive block do.
    state = network.state_dict().items()
    weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state}
    with atomic_write(Path(run_dir) / FILE.format(kind), "wb") as file:
        file.write(save(weights, metadata={kind: json.dumps(config)}))


def begin_with(network: nn.Module, kind: str, run_dir: str | os.PathLike[str]) -> None:
    """Give a network the weights of the best validation of a run, as :func:`load_kept` does.

    The best is said of the generator; a ``discriminator`` is the one that stood beside it.
    """
    load_kept(network, Path(run_dir), "best", kind)


def load_kept(network: nn.Module, run_dir: Path, weights: str, kind: str = "generator") -> None:
    """Give a network the ``best`` or the ``last`` weights of a finished run: one of them lies in
    ``KIND.safetensors``, the other one in a checkpoint.

    Raises:
        UsageError: there is no such file, or its weights are another network's.
        DataError: the file is damaged.
    """
    if weights == ("last" if _tested_last(run_dir) else "best"):
        _load_file(network, run_dir / FILE.format(kind))
        return
    from ir_lightning.training.checkpoint import BEST, LAST, load_state  # imports Lightning

    path = run_dir / "checkpoints" / (BEST if weights == "best" else LAST)
    if not path.is_file():
        raise UsageError(
            f"{path}, which holds the {weights} weights, is not there (`runs clean` deletes the "
            "last ones): train that run again with rerun=true."
        )
    state = load_state(path)
    system = state.get("state_dict") or state.get("system", {})
    begin = f"{kind}."  # of the names of its weights in the state of a system
    of_system = {k.removeprefix(begin): v for k, v in system.items() if k.startswith(begin)}
    found = state.get(kind) or of_system
    if kind != "generator" and not found:  # earlier versions kept but the last discriminator
        _load_file(network, run_dir / FILE.format(kind))
        return
    _load(network, found, path)


def _tested_last(run_dir: Path) -> bool:
    """Whether a run was tested with its last weights, and not with the best ones."""
    try:
        return bool(_config(run_dir)["evaluation"]["weights"] == "last")
    except UNREADABLE:
        return False


def load_generator(
    run_or_weights: str | os.PathLike[str], device: torch.device | str, trust: Sequence[str] = ()
) -> nn.Module:
    """Build the generator of a run directory or weights file, load its weights, and freeze it.

    The configuration stands in the file's metadata or else in the ``config.yaml`` beside it. The
    network is on ``device``, in evaluation mode.

    Raises:
        UsageError: nothing to load there, a configuration that names anything but network classes,
            or weights of another network.
        DataError: the file is damaged.
    """
    path = Path(run_or_weights).expanduser()
    path = path / GENERATOR_FILE if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"{path}: no such file; give a run directory that holds {GENERATOR_FILE}.")
    if path.suffix != ".safetensors":
        raise UsageError(f"{path}: not a .safetensors file; give the run's {GENERATOR_FILE}.")
    config, weights = _read(path)
    config = _config_beside(path) if config is None else config
    refuse_untrusted(config, path, NETWORKS.plus(trust))
    generator = build(config, f"{path}: generator") if isinstance(config, dict) else None
    if not isinstance(generator, nn.Module):
        raise UsageError(f"{path}: the configuration describes no network (torch.nn.Module).")
    _load(generator, weights, path)
    return generator.to(device).eval().requires_grad_(False)


def _load_file(network: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"{path} is not there; train that run again.")
    _load(network, _read(path)[1], path)


def _load(network: nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{path}: the weights do not fit the configuration: {reason}") from None


def _read(path: Path) -> tuple[Any, dict[str, torch.Tensor]]:
    """Configuration (None if the file has none) and tensors."""
    try:
        with safe_open(path, framework="pt") as file:
            described = (file.metadata() or {}).get("generator")
        return described and json.loads(described), load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: the weights cannot be read ({error}).") from None


def _config_beside(path: Path) -> Any:
    try:
        return _config(path.parent)["generator"]
    except UNREADABLE:
        raise UsageError(
            f"{path} does not say which network it belongs to, and no {CONFIG} with a "
            "'generator' stands beside it; give the run directory."
        ) from None


def _config(run_dir: Path) -> Any:
    return yaml.safe_load((run_dir / CONFIG).read_text("utf-8"))
