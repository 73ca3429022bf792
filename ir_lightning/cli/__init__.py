"""`ir-lightning`: what one does with trained restorers, beside train.py."""

import sys
from pathlib import Path

import typer

from ir_lightning.cli import data, runs
from ir_lightning.cli.experiment import experiment, report
from ir_lightning.cli.images import restore, score
from ir_lightning.cli.train import evaluate, train
from ir_lightning.errors import RunError, UsageError
from ir_lightning.names import by_name

# torch takes seconds to import, so commands import it when they are sure to need it.
__getattr__ = by_name(__name__)  # steps before a report are named by their classes
EVERYTHING = {"ignore_unknown_options": True, "allow_extra_args": True}

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Use and judge trained image restorers.",
)
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")
app.command(add_help_option=False, context_settings=EVERYTHING)(train)
for command in (evaluate, restore, score, experiment, report):
    app.command()(command)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; always ends in SystemExit: 0, 1 (a file is broken) or 2 (a bad request)."""
    sys.path.append(str(Path.cwd()))  # a package of one's own beside one's conf; shadows nothing
    try:
        app(arguments)
    except (UsageError, RunError) as error:
        raise SystemExit(runs.complain(error)) from None
