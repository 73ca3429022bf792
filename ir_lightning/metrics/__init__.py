"""Scores of restored images, each with its protocol."""

from ir_lightning.names import by_name

__getattr__ = by_name(__name__)
