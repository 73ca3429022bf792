"""Networks: generators, discriminators, enhancers and up-samplers. They know no training."""

from ir_lightning.names import by_name

__getattr__ = by_name(__name__)
