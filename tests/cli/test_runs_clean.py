"""`ir-lightning runs clean`: what goes was not needed."""

import os
from pathlib import Path

import pytest

from ir_lightning.cli import runs_upkeep as upkeep
from ir_lightning.errors import StorageError
from ir_lightning.runs.claim import Claim
from ir_lightning.runs.record import write_result
from ir_lightning.runs.state import State, state_of
from tests.helpers.asking import FINISHED, Hold, runs

pytestmark = pytest.mark.slow


def aged(*paths: Path) -> None:
    """Written long ago."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (1, 1))


def test_clean_deletes_what_it_says(folder: Path, hold: Hold) -> None:
    for name in ("a", "b", "c"):
        for file in ("last.ckpt", "previous.ckpt", "best.ckpt", ".last.ckpt.abcd1234"):
            aged(folder / name / "checkpoints" / file)
        aged(folder / name / "attempts" / ".new-x" / "claim.json")
        os.utime(folder / name / "attempts" / ".new-x", (1, 1))
    aged(folder / "sweeps" / ".s.json.abcd1234", folder / ".deleted-old" / "result.json")
    (folder / "c" / ".result.json.abcd1234").touch()  # somebody is writing
    hold(folder / "b")

    def there() -> set[str]:
        files = (p.relative_to(folder) for p in folder.rglob("*") if p.name != "heartbeat")
        return set(map(str, files))

    before = there()
    for options in ((), ("--failed",)):
        shown = runs("clean", folder, *options).stdout
        assert "would go" in shown
        assert there() == before, "nothing goes without --yes"

    done = runs("clean", folder, "--yes")
    assert done.exit_code == 0, done.output
    finished = {"a/checkpoints/last.ckpt", "a/checkpoints/previous.ckpt"}
    left = {f"{name}/checkpoints/.last.ckpt.abcd1234" for name in ("a", "c")}
    left |= {f"{name}/attempts/.new-x{file}" for name in ("a", "c") for file in ("", "/claim.json")}
    left |= {"sweeps/.s.json.abcd1234", ".deleted-old", ".deleted-old/result.json"}
    assert before - there() == finished | left
    assert there() <= before, "and it leaves no trace"
    assert "8 files and folders (0.0 MB) deleted" in done.stdout

    assert runs("clean", folder, "--failed", "--yes").exit_code == 0
    assert {path.name for path in folder.iterdir()} == {"a", "b", "no run", "sweeps"}
    assert {p for p in there() if p[0] == "b"} == {p for p in before if p[0] == "b"}
    assert {path.name for path in (folder / "a" / "checkpoints").iterdir()} == {"best.ckpt"}


def test_clean_leaves_what_was_begun_meanwhile(folder: Path, hold: Hold) -> None:
    def seen(name: str) -> State:
        state = state_of(folder / name)
        assert state is not None
        return state

    dead, queued, finished = seen("dead"), seen("b"), seen("a")
    process = hold(folder / "dead")
    with pytest.raises(StorageError, match=f"process {process.pid}"):
        upkeep.delete(dead, [folder / "dead"])
    process.kill()
    process.join()
    with pytest.raises(StorageError, match="meanwhile"):  # it has died, but it may have trained
        upkeep.delete(dead, [folder / "dead"])
    write_result(folder / "b", FINISHED)
    with pytest.raises(StorageError, match="meanwhile"):
        upkeep.delete(queued, [folder / "b"])
    process = hold(folder / "a")  # rerun=true: it still counts as finished
    aged(last := folder / "a" / "checkpoints" / "last.ckpt")
    with pytest.raises(StorageError, match=f"process {process.pid}"):
        upkeep.delete(finished, [last])
    done = runs("clean", folder, "--yes")
    assert done.exit_code == 1
    assert f"process {process.pid}" in done.stderr
    assert last.exists()
    assert {path.name for path in (folder / "dead" / "attempts").iterdir()} == {"1", "2"}


def test_a_run_that_begins_anew_is_not_touched_by_the_end_of_a_cleaning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moment that its directory is out of the way and the end of the deletion."""
    state = state_of(folder / "c")
    begun: list[Claim] = []
    remove = upkeep._remove

    def begin(paths: list[Path]) -> None:
        begun.append(Claim.take(folder / "c"))
        remove(paths)

    monkeypatch.setattr(upkeep, "_remove", begin)
    upkeep.delete(state, [folder / "c"])
    begun[0].require()
    assert {path.name for path in begun[0].directory.iterdir()} == {
        "claim.json",
        "heartbeat",
        "lock",
    }
    assert not list(folder.glob(".deleted-*"))
    begun[0].release(status="failed")
