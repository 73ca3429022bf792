"""LightningModules: what is optimised, how, and how it is evaluated."""

from ir_lightning.names import by_name

__getattr__ = by_name(__name__)
