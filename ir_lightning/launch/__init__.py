"""From a command line to a process: what happens before anything is trained."""

from ir_lightning.names import by_name

__getattr__ = by_name(__name__)
