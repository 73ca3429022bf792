"""How long `ir-lightning runs list` takes, without its start, beside parsing all configurations.

    python benchmarks/listing.py [runs]     # 500 unless told

Each run has a complete configuration and a curve of 20,000 rows. The configurations are parsed by
PyYAML, as a plain way to learn each budget would.
"""

import sys
import tempfile
import time
from pathlib import Path

import yaml
from omegaconf import OmegaConf
from rich.console import Console

from ir_lightning.cli.runs import table_of
from ir_lightning.launch.config import load_config
from ir_lightning.runs.record import write_result
from ir_lightning.runs.state import states_in


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    config = OmegaConf.to_yaml(load_config(["budget=smoke"]))
    curve = "iteration,seconds\n" + "".join(f"{i},1.0\n" for i in range(20_000))
    with tempfile.TemporaryDirectory() as folder:
        for index in range(count):
            run_dir = Path(folder, str(index))
            write_result(run_dir, {"status": "failed", "reason": "x"})
            (run_dir / "config.yaml").write_text(config)
            (run_dir / "metrics.csv").write_text(curve)
        began = time.perf_counter()
        with Console(quiet=True) as console:
            console.print(table_of(states_in(Path(folder)), folder))
        listing = time.perf_counter() - began
        began = time.perf_counter()
        for path in Path(folder).glob("*/config.yaml"):
            yaml.safe_load(path.read_text())
        parsing = time.perf_counter() - began
    print(
        f"{count} runs listed in {listing:.2f} s; parsing their configurations takes "
        f"{parsing:.2f} s, {parsing / listing:.1f} times as long"
    )


if __name__ == "__main__":
    main()
