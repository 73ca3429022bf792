"""How long one waits before anything happens: a typo, and the smallest run as a whole.

    python -m benchmarks.startup

Both are processes of their own. Beside them stands what ``import lightning`` takes on the machine.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import Figure, in_turns, record

TRAIN = str(Path(__file__).parents[1] / "train.py")
SMOKE = ["budget=smoke", "logger=csv", "callbacks=none", "trainer.accelerator=cpu", "rerun=true"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:

        def command(*arguments: str, code: int = 0) -> Callable[[], None]:
            def run() -> None:
                words = [sys.executable, *arguments]
                done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
                assert done.returncode == code, done.stderr.decode()

            return run

        ways = {
            "typo": command(TRAIN, "deph=3", code=2),
            "smoke": command(TRAIN, *SMOKE),
            "lightning": command("-c", "import lightning.pytorch"),
        }
        seconds = in_turns(ways, rounds)
    details = {f"{name}_s": statistics.median(took) for name, took in seconds.items()}
    figures = []
    for name, says, goal in (
        ("typo", "seconds until a typo is answered", 0.6),
        ("smoke", "seconds of a whole smoke run", 4.0),
    ):
        took = seconds[name]
        spread = min(took), max(took)
        median = statistics.median(took)
        figures.append(Figure(f"start-{name}", says, median, goal, False, spread, details))
    record("startup", figures)


if __name__ == "__main__":
    main()
