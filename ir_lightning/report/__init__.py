"""Tables, figures and verdicts of experiments, from the files that their runs have left."""

from ir_lightning.names import by_name

__getattr__ = by_name(__name__)
