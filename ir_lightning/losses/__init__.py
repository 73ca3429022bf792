"""Loss terms: the game between generator and discriminator, and pixels."""

from ir_lightning.names import by_name

__getattr__ = by_name(__name__)
