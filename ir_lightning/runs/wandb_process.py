"""The process that speaks to W&B for a run: the only place where wandb is imported.

Messages come pickled on standard input, and a line on standard output answers: ``ready FOLDER`` once
a run has begun, ``finished`` when all is on its way or on disk, ``failed REASON`` otherwise. It is
started as a script by :mod:`ir_lightning.runs.patient_wandb` and imports nothing of this package,
so that it starts within a second.
"""

import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO

STEP = "iteration"  # the x axis; W&B's own step goes on counting when a run is continued
PROBE = 1 << 16  # bytes


def main() -> None:
    """Begin the run, send what comes, end the run."""
    source, answer = _private_pipes()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the run, which ends this process
    settings, begin = pickle.load(source)
    sys.argv = settings.pop("argv")  # W&B records the command line: the run's, not this one's
    try:
        run = _begin(settings, begin)
    except BaseException as error:
        answer(f"failed {_reason(error)}")
        os._exit(1)  # wandb's own way out would wait for the server once more
    answer(f"ready {run.settings.sync_dir}")
    problem = None
    try:
        code = _send(run, source)
    except Exception as error:
        code, problem = 1, _reason(error)
    source.close()  # the run notices at once when nothing is read any more
    try:
        _end(run, code, begin["dir"])
    except BaseException as error:
        problem = problem or _reason(error)
    answer(f"failed {problem}" if problem else "finished")
    os._exit(0)


def _private_pipes() -> tuple[BinaryIO, Callable[[str], None]]:
    """Where messages come from and answers go to; wandb and its service get neither."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)

    def answer(line: str) -> None:
        try:
            os.write(sink, f"{line}\n".encode())
        except OSError:
            pass  # nobody is left to hear it

    return source, answer


def _begin(settings: dict[str, Any], begin: dict[str, Any]) -> Any:
    import wandb

    run = wandb.init(
        **begin,
        resume="allow",  # offline, too: `wandb sync` then appends to what is there already
        settings=wandb.Settings(silent=True, console="off", **settings),
    )
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    return run


def _send(run: Any, source: BinaryIO) -> int:
    """Hand over every message; returns the exit code, which is 1 if the run died without a word."""
    import wandb

    while True:
        try:
            kind, content = pickle.load(source)
        except EOFError:
            return 1
        if kind == "finish":
            return int(content)
        if kind == "summary":
            run.summary.update(content)
        elif kind == "table":
            name, columns, rows = content
            run.log({name: wandb.Table(columns=columns, data=rows)})
        elif kind == "image":
            name, image = content
            run.log({name: wandb.Image(image)})
        else:
            run.log(content)


def _end(run: Any, code: int, folder: str) -> None:
    """Raises what keeps the data from being complete, at W&B or on disk."""
    import wandb

    try:
        run.finish(exit_code=code)
    finally:
        wandb.teardown()
    # W&B's service says nothing of a full disk, so it is asked for here.
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(PROBE))


def _reason(error: BaseException) -> str:
    """The first line of an error's message, without its full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".:")[:200]


if __name__ == "__main__":
    main()
