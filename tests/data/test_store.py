"""The store holds the source's own pixels, whatever happened while it was made."""

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ir_lightning.build import build
from ir_lightning.cli import main
from ir_lightning.data.cache import prepare as store_prepare
from ir_lightning.data.cache.prepare import Preparation, refuse_without_room
from ir_lightning.data.cache.store import Stored, find, from_store, quick_key
from ir_lightning.data.combining import Concat, SceneSplit
from ir_lightning.data.image_files import write_image
from ir_lightning.data.pairs import PairedFolders, SideBySideFolder
from ir_lightning.data.samples import Sample, Source
from ir_lightning.data.synthetic.dead_leaves import DeadLeaves
from ir_lightning.errors import DataError, UsageError
from ir_lightning.launch.preflight import check, resolve
from ir_lightning.runs.identity import training_hash
from tests.conftest import SMALL, Compose

PAIRS = 40
SHARD = 100_000
"""So that the test pairs take several shards."""

PREPARE = f"""
import sys
from pathlib import Path
from ir_lightning.data.cache import prepare as store_prepare
from ir_lightning.data.pairs import PairedFolders
store_prepare.SHARD = {SHARD}
root = Path(sys.argv[1])
pairs = PairedFolders(root / "degraded", root / "clean", rule="prefix")
preparation = store_prepare.Preparation(pairs, Path(sys.argv[2]))
digests = preparation.digests(lambda count: None)
print("ready", flush=True)
print(preparation.run(digests, lambda: None))
"""


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Ten clean images of different sizes, each with four degraded ones."""
    numbers = np.random.default_rng(0)
    for scene in range(PAIRS // 4):
        height, width = 60 + scene, 91 - scene
        for name in (f"clean/{scene}", *(f"degraded/{scene}_{i}" for i in range(4))):
            pixels = numbers.integers(0, 256, (height, width, 3), dtype=np.uint8)
            (tmp_path / name).parent.mkdir(exist_ok=True)
            write_image(tmp_path / f"{name}.png", pixels)
    return tmp_path


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_prepare, "SHARD", SHARD)


def pairs(root: Path) -> PairedFolders:
    return PairedFolders(root / "degraded", root / "clean", rule="prefix")


def prepare(source: Source, stores: Path) -> Path:
    preparation = Preparation(source, stores)
    return preparation.run(preparation.digests(lambda _: None), lambda: None)


def assert_same(stored: Source, source: Source) -> None:
    assert len(stored) == len(source)
    for index in range(len(source)):
        ours, theirs = stored[index], source[index]
        assert (ours.name, stored.name(index)) == (theirs.name, source.name(index))
        assert stored.size(index) == source.size(index)
        assert stored.scene(index) == source.scene(index)
        for kind in ("clean", "degraded", "depth"):
            image, expected = getattr(ours, kind), getattr(theirs, kind)
            assert (image is None) == (expected is None)
            if expected is not None:
                assert image.dtype == expected.dtype
                np.testing.assert_array_equal(image, expected)


def contents(store: Path) -> dict[str, bytes]:
    files = (path for path in store.rglob("*") if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def start(root: Path, stores: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(root), str(stores)], stdout=subprocess.PIPE, text=True
    )


def test_a_store_holds_what_the_source_reads(folders: Path) -> None:
    source = pairs(folders)
    stored = Stored(source, prepare(source, folders / "stores"))
    assert_same(stored, source)
    assert len(list(stored.directory.glob("shard-*.npy"))) > 3
    clean = stored[0].clean
    assert not clean.flags.writeable
    assert not clean.flags.owndata  # a view: a slice of it reads no more than the slice


def test_depth_and_missing_images_are_stored_too(folders: Path) -> None:
    class Scenes(DeadLeaves):
        """Leaves that claim to lie on disk."""

        def files(self, index: int) -> list[Path]:
            return [folders / "clean" / f"{index}.png"]

    source = Scenes(count=3, size=40, seed=0, radius=(3.0, 10.0))
    assert source[0].depth is not None
    assert_same(Stored(source, prepare(source, folders / "stores")), source)


def test_a_clean_image_that_pairs_share_is_stored_once(folders: Path) -> None:
    source = pairs(folders)
    preparation = Preparation(source, folders / "stores")
    store = prepare(source, folders / "stores")
    held = sum(path.stat().st_size for path in store.glob("*.npy"))
    once = sum(h * w * 3 for h, w in (source.size(i) for i in range(0, PAIRS, 4)))
    assert preparation.bytes == 5 * once
    assert 5 * once < held < 6.5 * once  # a scene on two shards is in both


@pytest.mark.slow
def test_ten_kills_at_random_moments_leave_no_trace(folders: Path) -> None:
    whole = prepare(pairs(folders), folders / "whole")
    moments = random.Random(0)
    slow = PREPARE.replace(
        "digests =",
        "read = preparation._read\n"
        "preparation._read = lambda i: (__import__('time').sleep(0.01), read(i))[1]\n"
        "digests =",
    )
    parts = 0
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", slow, str(folders), str(folders / "killed")],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.08))  # of half a second that it all takes
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        parts += len(list((folders / "killed").glob("*/*.part")))
    assert parts > 0, "no kill came in the middle of a shard"
    store = prepare(pairs(folders), folders / "killed")
    assert contents(store) == contents(whole)


def test_pixels_that_never_reached_the_disk_are_written_again(folders: Path) -> None:
    whole = contents(prepare(pairs(folders), folders / "whole"))
    store = prepare(pairs(folders), folders / "crashed")
    first = store / "shard-000.npy"
    damaged = bytearray(first.read_bytes())
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    first.rename(first.with_suffix(".npy.part")).write_bytes(damaged)
    with first.with_suffix(".jsonl").open("ab") as journal:
        journal.write(b'{"index": 9')
    (store / "manifest.json").unlink()
    shutil.rmtree(store / "seen")
    assert contents(prepare(pairs(folders), folders / "crashed")) == whole


def test_finished_images_are_not_read_again(folders: Path) -> None:
    class Counting(PairedFolders):
        broken_at = 25
        reads = 0

        def __getitem__(self, index: int) -> Sample:
            type(self).reads += 1
            if self.reads == self.broken_at:
                raise DataError("a file cannot be read")
            return super().__getitem__(index)

    source = Counting(folders / "degraded", folders / "clean", rule="prefix")
    with pytest.raises(DataError):
        prepare(source, folders / "stores")
    done = sum(
        path.read_bytes().count(b"\n") for path in (folders / "stores").glob("*/shard-*.jsonl")
    )
    assert done > 15
    Counting.broken_at, Counting.reads = -1, 0
    assert_same(Stored(source, prepare(source, folders / "stores")), pairs(folders))
    probes = 3  # the first sample tells how the source reads
    assert Counting.reads == PAIRS - done + probes


def test_two_processes_at_once_make_one_store(folders: Path) -> None:
    whole = contents(prepare(pairs(folders), folders / "whole"))
    processes = [start(folders, folders / "shared") for _ in range(2)]
    answers = [process.communicate(timeout=60)[0].split()[-1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1]
    assert contents(Path(answers[0])) == whole


def test_a_changed_file_is_noticed(folders: Path) -> None:
    stores = folders / "stores"
    store = prepare(pairs(folders), stores)
    file = folders / "clean" / "3.png"
    original = file.read_bytes()
    assert find(quick_key(pairs(folders)), stores) == store
    write_image(file, np.zeros((63, 88, 3), np.uint8))
    assert find(quick_key(pairs(folders)), stores) is None
    other = prepare(pairs(folders), stores)
    assert other != store
    assert_same(Stored(pairs(folders), other), pairs(folders))
    # The old content again, under a new time: the same store, without a new one.
    file.write_bytes(original)
    assert prepare(pairs(folders), stores) == store
    assert len(list(stores.iterdir())) == 2


def test_a_file_that_changes_under_way_is_refused(folders: Path) -> None:
    preparation = Preparation(pairs(folders), folders / "stores")
    digests = preparation.digests(lambda _: None)
    os.utime(folders / "clean" / "5.png")
    with pytest.raises(DataError, match=r"5\.png: changed"):
        preparation.run(digests, lambda: None)
    assert not list((folders / "stores").glob("*/manifest.json"))


def test_other_halves_make_another_store(benchmarks: Path) -> None:
    root = benchmarks / "rain800" / "training"
    stores = {
        prepare(SideBySideFolder(root, left), benchmarks / "st") for left in ("clean", "degraded")
    }
    assert len(stores) == 2


def test_sources_inside_others_are_read_from_their_store(folders: Path) -> None:
    prepare(pairs(folders), folders / "stores")
    leaves = DeadLeaves(count=2, size=40, seed=0, radius=(3.0, 10.0))
    source = Concat({"mine": SceneSplit(pairs(folders), "train", 0.2), "leaves": leaves})
    stored = from_store(source, "auto", folders / "stores")
    assert_same(stored, source)
    assert not stored[0].clean.flags.writeable
    assert from_store(source, "auto", folders / "empty")[0].clean.flags.writeable
    assert source[0].clean.flags.writeable, "the source itself is as it was"
    assert from_store(source, "off", folders / "stores") is source


def test_a_required_store_that_is_not_there_is_refused(folders: Path) -> None:
    with pytest.raises(UsageError, match="data prepare DATASET"):
        from_store(pairs(folders), str(folders / "stores"), "elsewhere")
    store = prepare(pairs(folders), folders / "stores")
    assert isinstance(from_store(pairs(folders), str(folders / "stores"), "elsewhere"), Stored)
    shard = store / "shard-001.npy"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(UsageError, match="incomplete or damaged"):
        from_store(pairs(folders), "auto", folders / "stores")


def test_a_worker_process_maps_the_store_itself(folders: Path) -> None:
    stored = Stored(pairs(folders), prepare(pairs(folders), folders / "stores"))
    before = len(pickle.dumps(stored))
    _ = [stored[index] for index in range(PAIRS)]
    assert len(pickle.dumps(stored)) == before
    assert_same(pickle.loads(pickle.dumps(stored)), stored)


def test_no_room_is_said_before_anything_is_written(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preparation = Preparation(pairs(folders), folders / "stores")
    place = preparation.directory(preparation.digests(lambda _: None))
    monkeypatch.setattr(store_prepare, "free_bytes", lambda _: preparation.bytes - 1)
    with pytest.raises(UsageError, match=r"needed and .* free"):
        refuse_without_room([(preparation, place)], folders / "stores")
    assert not (folders / "stores").exists()
    # What is stored already needs no more room.
    prepare(pairs(folders), folders / "stores")
    refuse_without_room([(preparation, place)], folders / "stores")


@pytest.mark.slow
def test_training_reads_the_same_batches_from_a_prepared_store(
    benchmarks: Path, composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores = tmp_path / "stores"
    where = (f"paths.data={benchmarks}", f"paths.stores={stores}")
    for said in ("10 samples", "Stored already"):
        with pytest.raises(SystemExit) as ended:
            main(["data", "prepare", "rain800", *where])
        assert ended.value.code == 0
        assert said in capsys.readouterr().err

    def batches(store: str) -> list[torch.Tensor]:
        config = composed(*SMALL, "dataset=rain800", *where, f"dataset.store={store}")
        data = build(resolve(config)["data"], "data")
        inner = data.training_pairs.source.source
        assert isinstance(inner, Stored) == (store != "off")
        return [
            batch[image]
            for loader in (data.train_dataloader, data.val_dataloader, data.test_dataloader)
            for batch in loader()
            for image in ("degraded", "clean")
        ]

    decoded = batches("off")
    for store in ("auto", str(stores)):
        assert all(torch.equal(a, b) for a, b in zip(batches(store), decoded, strict=True))


def test_a_missing_store_is_a_mistake_and_no_part_of_a_run(
    benchmarks: Path, composed: Compose
) -> None:
    asked = (*SMALL, "dataset=rain800", f"paths.data={benchmarks}")
    with pytest.raises(UsageError, match=r"dataset\.store=/nowhere"):
        check(composed(*asked, "dataset.store=/nowhere"))
    elsewhere = composed(*asked, "dataset.store=off", "paths.stores=/elsewhere")
    assert training_hash(elsewhere) == training_hash(composed(*asked))


def test_preparing_what_reads_no_files_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["data", "prepare", "rain"])
    assert ended.value.code == 2
    assert "dataset=rain reads no files" in capsys.readouterr().err
