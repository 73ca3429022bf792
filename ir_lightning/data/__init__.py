"""Samples of images, from wherever they come to the batch."""

from ir_lightning.names import by_name

__getattr__ = by_name(__name__)
