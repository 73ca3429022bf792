"""`ir-lightning train`: what train.py does, from any folder."""

import sys

import typer


def train(context: typer.Context) -> None:
    """Train one restorer, or sweep over many with -m: `ir-lightning train --help`."""
    from ir_lightning.launch.app import main  # composes a configuration

    sys.argv = ["ir-lightning train", *context.args]
    main()
