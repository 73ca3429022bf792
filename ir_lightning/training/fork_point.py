"""What the process imports from which every training of a sweep is forked."""

import signal

import wandb.sdk.launch  # noqa: F401  (before torch: after it, this takes five times as long)

import ir_lightning.training.loop  # noqa: F401  (the seconds that every training is to be spared)
from ir_lightning.errors import STOP_SIGNALS

for number in STOP_SIGNALS:
    signal.signal(number, signal.SIG_IGN)
