"""The parts of a run, built without weights: their constructors judge what they are given."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ir_lightning.build import build, refusals
from ir_lightning.errors import UsageError
from ir_lightning.networks.meta import on_meta

IMAGES = {"generator": 1, "discriminator": 2}
"""How many images a network is given."""


class Parts:
    """The parts of the system: ``built``, by name.

    ``notices`` has a sentence about each part that cannot be built or run without data. Such a part
    is nobody's mistake, and left to the training.
    """

    def __init__(self) -> None:
        self.built: dict[str, Any] = {}
        self.nodes: dict[str, Any] = {}
        self.notices: list[str] = []

    def build(self, nodes: Mapping[str, Any]) -> None:
        """Build parts on the meta device from plain nodes; what else is among them is passed over.

        Raises:
            UsageError: names the key and the value that a constructor does not take.
        """
        for name, node in nodes.items():
            if isinstance(node, Mapping):
                self.nodes[name] = node
                try:
                    with on_meta():
                        self.built[name] = build(node, f"system.{name}")
                except Exception as error:
                    if isinstance(error, UsageError) and not _lacks_data(error):
                        raise
                    self._pass(name, error)

    def check_crops(self, crop: int, batch: int) -> None:
        """Refuse ``batch`` crops of ``crop`` pixels where a network cannot be trained on them.

        A network refuses them by its ``check_crop``, where it has one, and when it is given some.

        Raises:
            UsageError: names the keys of the network and of the crop.
        """
        for name, part in self.built.items():
            with refusals(f"system.{name}", self.nodes[name]):
                if hasattr(part, "check_crop"):
                    part.check_crop(crop)
                if isinstance(part, nn.Module) and name in IMAGES:
                    self._try(name, part, torch.empty(batch, 3, crop, crop, device="meta"))

    def check_optimizer(self) -> None:
        """Refuse an optimizer that cannot be made for the networks.

        Raises:
            UsageError: names the key and what the optimizer says.
        """
        make, node = self.built["optimization"].optimizer, self.nodes["optimization"]["optimizer"]
        for name in IMAGES:
            if parameters := list(self.built[name].parameters()) if name in self.built else []:
                with refusals("system.optimization.optimizer", node):
                    make(parameters)

    def with_batch_norm(self) -> list[str]:
        """Names of the networks that normalise over the crops of a batch."""
        networks = {name: p for name, p in self.built.items() if isinstance(p, nn.Module)}
        return [
            n for n, p in networks.items() if any(isinstance(m, _BatchNorm) for m in p.modules())
        ]

    def _try(self, name: str, network: nn.Module, crops: torch.Tensor) -> None:
        try:
            with torch.random.fork_rng(devices=[]):
                network(*[crops] * IMAGES[name])
        except UsageError:
            raise
        except Exception as error:
            if re.search("size|shape|channel", str(error)) and not _lacks_data(error):
                raise ValueError(f"it does not take such crops: {error}") from None
            self._pass(name, error)

    def _pass(self, name: str, error: Exception) -> None:
        reason = (str(error).splitlines() or [""])[0]
        self.notices.append(f"The {name} is not checked before the training: {reason}")


def _lacks_data(error: Exception) -> bool:
    return "meta" in str(error).lower()
