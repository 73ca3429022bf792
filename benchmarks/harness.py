"""How everything here is measured: in turns, in one run, as a ratio; machines are shared and noisy.

A figure is the median over pairs of (seconds of the one way) / (seconds of the other), which run
one right after the other, so that a machine that slows down slows both.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured number and what it should be.

    Args:
        name: e.g. ``step-cpu-float32``.
        says: what the ratio is, in words.
        ratio: the median; None where the machine lacks what it takes.
        goal: to be reached from below (``at_least``) or not to be exceeded.
        spread: the smallest and the largest single ratio.
        details: whatever explains it, e.g. seconds of each way.
    """

    name: str
    says: str
    ratio: float | None
    goal: float
    at_least: bool = True
    spread: tuple[float, float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def of(self, over: Sequence[float], under: Sequence[float], **details: Any) -> "Figure":
        """This figure as ``over / under``, seconds of two ways that were measured in turns."""
        ratios = [a / b for a, b in zip(over, under, strict=True)]
        seconds = {"over_s": statistics.median(over), "under_s": statistics.median(under)}
        spread = min(ratios), max(ratios)
        median = statistics.median(ratios)
        return replace(self, ratio=median, spread=spread, details=seconds | details)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where nothing was measured."""
        if self.ratio is None:
            return None
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal

    def __str__(self) -> str:
        if self.ratio is None:
            return f"{self.name:28} unmeasured  {self.says}"
        extremes = f" ({self.spread[0]:.2f} to {self.spread[1]:.2f})" if self.spread else ""
        wanted = f"{'at least' if self.at_least else 'at most'} {self.goal:g}"
        ended = "met" if self.met else "NOT MET"
        return f"{self.name:28} {self.ratio:.3f}{extremes}, {wanted}: {ended}  {self.says}"


def in_turns(
    ways: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of each way in each of ``rounds`` rounds, after some that do not count.

    A way that returns a float has measured itself.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + rounds):
        for name, do in ways.items():
            began = time.perf_counter()
            own = do()
            took = own if isinstance(own, float) else time.perf_counter() - began
            if turn >= warm_up:
                seconds[name].append(took)
    return seconds


class OtherProcess:
    """A way that is measured in a process of its own, with an environment or a memory of its own.

    ``python -m MODULE ARGUMENTS`` has to end in :func:`serve`; a call lets it do its work once and
    returns the seconds that it took there. An empty value in the environment unsets a variable.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: dict[str, str] | None = None,
        where: Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=where,
            env={k: v for k, v in (os.environ | (environment or {})).items() if v},
        )

    def __call__(self) -> float:
        self.begin()
        return self.seconds()

    def begin(self) -> None:
        """Let it do its work once."""
        assert self.process.stdin is not None
        self.process.stdin.write("once\n")
        self.process.stdin.flush()

    def seconds(self) -> float:
        """What the work took that was begun, once it is done."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(ANSWER):
                return float(line.removeprefix(ANSWER))
        raise RuntimeError(f"{self.process.args} ended early")

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


ANSWER = "seconds "


def serve(work: Callable[[], object]) -> None:
    """Do the work as often as an :class:`OtherProcess` wants it done; a float is its own time."""
    for _ in sys.stdin:
        began = time.perf_counter()
        own = work()
        took = own if isinstance(own, float) else time.perf_counter() - began
        print(f"{ANSWER}{took}", flush=True)


def compared(
    name: str,
    says: str,
    over: Sequence[float],
    under: Sequence[float],
    goal: float,
    at_least: bool = True,
    **details: Any,
) -> Figure:
    """The figure ``over / under`` of two ways that were measured in turns."""
    return Figure(name, says, None, goal, at_least).of(over, under, **details)


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    cuda = torch.cuda.is_available()
    return {
        "processor": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "bf16_instructions": sorted({"avx512_bf16", "amx_bf16"} & set(flags)),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def record(benchmark: str, figures: Sequence[Figure], folder: Path = RESULTS, **more: Any) -> None:
    """Print the figures and write them to ``BENCHMARK.json`` in the folder of the results."""
    for figure in figures:
        print(figure, flush=True)
    rows = [{**asdict(figure), "met": figure.met} for figure in figures]
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"machine": machine(), "figures": rows, **more}
    (folder / f"{benchmark}.json").write_text(json.dumps(whole, indent=1) + "\n")
