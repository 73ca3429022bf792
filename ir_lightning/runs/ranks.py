"""One run in several processes: which one is this, and whose claim does it work under?

Lightning, torchrun and SLURM start the same program several times and tell each its rank by an
environment variable. Rank 0 claims the run and keeps its record; the others follow.
"""

import os
import threading
import time
from pathlib import Path

from ir_lightning.runs.claim import Owner, latest_attempt

VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
ATTEMPT = "IR_LIGHTNING_ATTEMPT"  # inherited by the processes that rank 0 starts
PATIENCE = 120.0  # seconds that a process waits for rank 0 to claim the run


def rank() -> int:
    """Rank of this process; 0 where there is only one."""
    return next((int(os.environ[name]) for name in VARIABLES if name in os.environ), 0)


def announce_claim(attempt: Path) -> None:
    """Tell the processes that this one is going to start."""
    os.environ[ATTEMPT] = str(attempt.resolve())


def wait_for_claim(run_dir: Path) -> Path | None:
    """The attempt that rank 0 has begun; None when it does not train this run."""
    if ATTEMPT in os.environ:
        return Path(os.environ[ATTEMPT])
    here = Owner.here()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        attempt = latest_attempt(run_dir)
        owner = attempt.owner if attempt else None
        ours = owner and (owner.job, owner.restarts) == (here.job, here.restarts)
        if attempt and ours and attempt.alive():
            return attempt.directory
        time.sleep(0.2)
    return None


def end_with_parent() -> None:
    """End this process when the one that started it is gone: it would wait for it for ever."""
    if ATTEMPT not in os.environ:
        return  # a scheduler has started it, and will end it
    parent = os.getppid()

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="parent").start()
