"""The laboratory for generative image restoration.

>>> import ir_lightning
>>> restorer = ir_lightning.load("runs/RUN")  # doctest: +SKIP
>>> ir_lightning.score(restorer(degraded), clean)  # doctest: +SKIP
{'psnr': 25.34, 'ssim': 0.662}
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ir_lightning.inference import Restorer, load, score

# Before torch is imported: its threads then wait for each other for a tenth of a millisecond and go
# to sleep. By default they spin for longer than an operation lasts, and beside another training
# each takes the core from the one it waits for: a training slows down to a tenth.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

__version__ = "0.1.0"
__all__ = ["Restorer", "__version__", "load", "score"]


def __getattr__(name: str) -> Any:
    """Import torch when a restorer is wanted, and not with the package."""
    if name in __all__:
        from ir_lightning import inference

        return getattr(inference, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
