"""`ir-lightning train` and `ir-lightning evaluate`: runs, and other scores of trained ones."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ir_lightning.cli.runs import RunsOption, Trust, complain
from ir_lightning.errors import RunError, UsageError
from ir_lightning.launch.evaluate import may_be_changed, test_names, with_evaluation
from ir_lightning.launch.run import evaluate as launch
from ir_lightning.runs.state import State, find


def train(context: typer.Context) -> None:
    """Train one restorer, or sweep over many with -m: `ir-lightning train --help`."""
    from ir_lightning.launch.app import main  # composes a configuration

    sys.argv = ["ir-lightning train", *context.args]
    main()


def evaluate(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Runs, as in `runs show`, then overrides of the evaluation, as for train.py.",
            metavar="RUN... [OVERRIDE]...",
        ),
    ],
    runs: RunsOption = Path("runs"),
    trust: Trust = None,
) -> None:
    """Score trained runs by other protocols, metrics or test images; nothing is trained.

    What is new lies in RUN/evaluations, and the run's own scores stay. The exit code is 2 if an
    evaluation was refused, else 1 if one failed; the others are made all the same.
    """
    states, overrides = runs_and_overrides(names, runs)
    code = 0
    for state in states:
        try:
            if state.status != "finished":
                raise UsageError(f"{state.run_dir} is {state.status}: it must have finished.")
            plain = with_evaluation(state.run_dir, overrides, trust or ())
            launch(plain, state.run_dir, overrides, test_names(plain))
        except (UsageError, RunError) as error:
            code = max(code, complain(error))
    raise typer.Exit(code)


def runs_and_overrides(words: list[str], runs: Path) -> tuple[list[State], list[str]]:
    """The runs that the first words name, and the other words.

    A run may be called by what varies in its sweep, such as ``depth=3``; so an override is what is
    about the evaluation, or names no run.

    Raises:
        UsageError: a word names no run before any does.
    """
    states: dict[Path, State] = {}
    rest = list(words)
    while rest:
        word = rest[0]
        try:
            if "=" in word and may_be_changed(word) and not (runs / word).exists():
                break
            state = find(word, runs)
        except UsageError:
            if "=" in word and states:
                break
            raise
        states[state.run_dir.resolve()] = state
        rest.pop(0)
    if not states:
        raise UsageError(f"{words[0]}: name a run before it, as `ir-lightning runs list` does.")
    return list(states.values()), rest
