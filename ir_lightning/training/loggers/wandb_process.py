"""The process that speaks to W&B for a run: the only place where wandb is imported.

Messages come pickled on standard input, and a line on standard output answers: ``ready FOLDER``
once a run has begun, ``finished`` when all is uploaded, or offline on disk, and ``failed REASON``
otherwise. ``patient_wandb`` starts it as a script. It imports nothing of this package, so it is at
work within a second.
"""

import contextlib
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

STEP = "iteration"  # the x axis; W&B's own step goes on counting when a run is continued
PROBE = 1 << 16  # bytes
HEADER = BLOCK_HEADER = 7  # bytes, of a .wandb file and of every chunk of a record in it
BLOCK = 1 << 15  # bytes, the unit that W&B writes
FULL, LAST = 1, 4  # kinds of chunks that end a record


def main() -> None:
    """Begin the run, send what comes, end the run."""
    source, answer = _private_pipes()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the run, which ends this process
    arguments, settings, limits = pickle.load(source)
    sys.argv = settings.pop("argv")  # W&B records the command line: the run's, not this one's
    try:
        run = _begin(arguments, settings)
    except BaseException as error:
        answer(f"failed {_reason(error)}")
        os._exit(1)  # wandb's own way out would wait for the server once more
    with contextlib.suppress(OSError):  # to be mended another time
        _mend(Path(run.settings.sync_file))
    answer(f"ready {run.settings.sync_dir}")
    problems: list[str] = []
    code = 1
    try:
        code = _send(run, source, limits["table"], problems)
    except Exception as error:
        problems.append(_reason(error))
    source.close()  # whoever writes still notices at once
    try:
        _end(run, code, limits["close"], Path(arguments["dir"]))
    except BaseException as error:
        problems.append(_reason(error))
    answer(f"failed {problems[0]}" if problems else "finished")
    os._exit(0)


def _private_pipes() -> tuple[BinaryIO, Callable[[str], None]]:
    """Where messages come from and answers go to; wandb and its service get neither."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)

    def answer(line: str) -> None:
        with contextlib.suppress(OSError):  # nobody is left to hear it
            os.write(sink, f"{line}\n".encode())

    return source, answer


def _begin(arguments: dict[str, Any], settings: dict[str, Any]) -> Any:
    import wandb

    run = wandb.init(
        **arguments,
        resume="allow",  # offline, too: `wandb sync` then appends to what is there already
        settings=wandb.Settings(silent=True, console="off", **settings),
    )
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    return run


def _send(run: Any, source: BinaryIO, seconds: float, problems: list[str]) -> int:
    """Hand over every message; returns the exit code, which is 1 if the run died without a word."""
    import wandb

    while True:
        try:
            message = pickle.load(source)
        except EOFError:
            return 1
        match message:
            case "finish", code:
                return int(code)
            case "log", values, step:
                run.log(values if step is None else values | {STEP: step})
            case "table", name, columns, rows:
                table = wandb.Table(columns=columns, data=rows)
                # W&B asks the server about tables, and would wait for the answer for ever.
                if not _within(seconds, partial(run.log, {name: table})):
                    problems.append(f"the server did not answer about the table {name}")
            case "image", name, image:
                run.log({name: wandb.Image(image)})
            case "page", name, text:
                run.log({name: wandb.Html(text, inject=False)})
            case "summary", values:
                run.summary.update(values)


def _end(run: Any, code: int, seconds: float, folder: Path) -> None:
    """Close the run; raises what keeps its data from being complete, at W&B or on disk."""
    import wandb

    try:
        run.finish(exit_code=code)
    finally:
        _within(seconds, wandb.teardown)  # waits until the file is written, but for telemetry, too
    # W&B's service says nothing of a full disk, so it is asked for here.
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(PROBE))


def _within(seconds: float, task: Callable[[], object]) -> bool:
    """Whether a task came to its end in time, left to itself otherwise; raises what it raises."""
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            task()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    return not thread.is_alive()


def _reason(error: BaseException) -> str:
    """The first line of an error's message, without its full stop."""
    if isinstance(error, OSError) and error.strerror:
        file = error.filename2 or error.filename
        return f"{file}: {error.strerror}" if file else error.strerror
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".:")[:200]


def _mend(ours: Path) -> None:
    """Make the earlier offline parts of a run such that ``wandb sync`` does not stop at them.

    W&B writes whole blocks, so a power cut leaves a part that ends within a record, or is empty.
    That is done once the new part has begun: until then, the process that wrote for a run that
    was killed is done with it.
    """
    for file in ours.parent.parent.glob(f"offline-run-*/{ours.name}"):
        log = file.read_bytes()
        end = _end_of_records(log)
        if file == ours or end == len(log) > HEADER:
            continue
        if end > HEADER:
            os.truncate(file, end)
        else:
            shutil.rmtree(file.parent)


def _end_of_records(log: bytes) -> int:
    """Where the last complete record ends. The format is LevelDB's log: blocks of chunks, each
    with a checksum (4 bytes), its length (2, little-endian) and its kind (1)."""
    at = end = HEADER
    while at + BLOCK_HEADER <= len(log):
        left = BLOCK - at % BLOCK
        if left < BLOCK_HEADER:  # padding
            at += left
            continue
        length, kind = int.from_bytes(log[at + 4 : at + 6], "little"), log[at + 6]
        at += BLOCK_HEADER + length
        if at <= len(log) and kind in (FULL, LAST):
            end = at
    return end


if __name__ == "__main__":
    main()
