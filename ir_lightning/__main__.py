"""``python -m ir_lightning``: the same as the command ``ir-lightning``."""

from ir_lightning.cli import main

main()
