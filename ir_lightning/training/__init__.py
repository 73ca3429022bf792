"""All of a run that imports torch: loop, checkpoints, weights, memory, callbacks, loggers."""

from ir_lightning.names import by_name

__getattr__ = by_name(__name__)
