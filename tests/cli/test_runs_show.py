"""`ir-lightning runs show`: everything about one run."""

import os
from pathlib import Path

from ir_lightning.runs.claim import Claim
from ir_lightning.runs.record import write_result
from ir_lightning.runs.state import DIED
from tests.helpers.asking import FINISHED, runs


def test_show_takes_a_path_a_name_or_a_hash(folder: Path) -> None:
    (folder / "c").rename(folder / "depth=3-abc")
    for name in (folder / "depth=3-abc", "depth=3", "abc"):
        shown = runs("show", name, "--runs", folder)
        assert shown.exit_code == 0
        assert "failed" in shown.stdout
        assert "a [bug]" in shown.stdout
    assert "no such run" in str(runs("show", "nothing", "--runs", folder).exception)
    assert "no such run" in str(runs("show", "", "--runs", folder).exception)
    write_result(folder / "depth=3-def", {**FINISHED, "label": "seed=[1]"})
    assert "any of 2 runs" in str(runs("show", "depth=3", "--runs", folder).exception)
    assert "finished" in runs("show", "seed=[1]", "--runs", folder).stdout
    write_result(folder / "depth=3", {"status": "queued"})
    assert "queued" in runs("show", "depth=3", "--runs", folder).stdout, "its whole name"


def test_show_tells_everything(folder: Path) -> None:
    means = {kind: FINISHED[kind] for kind in ("degraded", "restored")}
    whole = {**FINISHED, "dataset": "rain", "seed": 7, "budget": "cpu", "git_commit": "c0ffee"}
    whole |= {"images": 6, "scores": {"rgb8": means, "y-matlab": means}, "versions": {"torch": "2"}}
    write_result(folder / "a", whole)
    (folder / "a" / "checkpoints").mkdir()
    (folder / "a" / "checkpoints" / "best.ckpt").write_bytes(bytes(2_000_000))
    claim = Claim.take(folder / "a")
    claim.release(status="failed", reason="the [first] time")
    shown = runs("show", folder / "a").stdout
    for part in ("21.500", "y-matlab", "c0ffee", "torch 2", "2.000 MB", "checkpoints/best.ckpt"):
        assert part in shown
    assert f"attempt 1: process {os.getpid()}" in shown
    assert "failed: the [first] time" in shown


def test_show_ends_with_the_end_of_the_log(folder: Path) -> None:
    log = folder / "dead" / "attempts" / "1" / "log.txt"
    log.write_bytes(b"early\n" + b"line\n" * 9999 + b"\x1b[1mCUDA [error]\xff\n")
    shown = runs("show", folder / "dead").stdout
    assert DIED in " ".join(shown.split())
    assert shown.splitlines()[-1].endswith("CUDA [error]\ufffd")
    assert "\x1b" not in shown
    assert "early" not in shown
    assert "attempt 1: process" in shown
    assert "ended without a word" in shown
