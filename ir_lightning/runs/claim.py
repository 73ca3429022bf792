"""Who trains a run: a claim that two processes cannot both hold and a dead one cannot keep."""

import contextlib
import fcntl
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from ir_lightning.errors import StorageError
from ir_lightning.files import DIRECTORY_MODE, write_json

ATTEMPTS = "attempts"
CLAIM, END, HEARTBEAT, LOCK = "claim.json", "end.json", "heartbeat", "lock"
BEAT = 10.0  # seconds between two heartbeats
STALE = 180.0  # seconds; network file systems show a change of another machine up to 60 s late
PENDING = ".new-"  # a claim before it has its number
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
INHERITED = "IR_LIGHTNING_ATTEMPT"  # by the processes that rank 0 starts
PATIENCE = 120.0  # seconds that a process waits for rank 0 to claim the run


@dataclass(frozen=True)
class Owner:
    """The process that holds a claim."""

    host: str
    machine: str
    """Boot and process namespace: where locks and process ids mean the same."""
    pid: int
    job: str
    """SLURM's job, empty elsewhere. A job that was requeued may go on with its own run."""
    restarts: int

    @classmethod
    def here(cls) -> "Owner":
        """This process."""
        array, task = (os.environ.get(f"SLURM_ARRAY_{key}_ID") for key in ("JOB", "TASK"))
        job = f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID", "")
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", 0))
        machine = [socket.gethostname()]
        with contextlib.suppress(OSError):  # Linux only; elsewhere the host name has to do
            machine.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
            machine.append(str(Path("/proc/self/ns/pid").readlink()))
        return cls(socket.gethostname(), " ".join(machine), os.getpid(), job, restarts)

    def __str__(self) -> str:
        job = f", SLURM job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


class TakenError(Exception):
    """Somebody else, who is alive, trains this run."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(str(owner))
        self.owner = owner


@dataclass(frozen=True)
class Attempt:
    """One attempt at a run, as found on disk."""

    directory: Path

    @property
    def number(self) -> int:
        return int(self.directory.name)

    @property
    def owner(self) -> Owner | None:
        """Who made it; None when that cannot be read."""
        try:
            return Owner(**json.loads((self.directory / CLAIM).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def age(self) -> float:
        """Seconds since the last heartbeat, by the clock of the file system."""
        try:
            return _now(self.directory) - (self.directory / HEARTBEAT).stat().st_mtime
        except OSError:
            return float("inf")

    def alive(self) -> bool:
        """Whether its process still works on the run."""
        owner, here = self.owner, Owner.here()
        if (self.directory / END).exists() or owner is None:
            return False
        if owner.job and owner.job == here.job and owner.restarts < here.restarts:
            return False  # SLURM has ended that one to start this one
        locked = None
        if owner.machine == here.machine:
            # Data-loading processes outlive a killed one by seconds, and with them its lock.
            locked = psutil.pid_exists(owner.pid) and _locked(self.directory / LOCK)
        return self.age < STALE if locked is None else locked


def latest_attempt(run_dir: Path) -> Attempt | None:
    """The attempt with the highest number, None where there has been none."""
    try:
        numbers = [int(p.name) for p in (run_dir / ATTEMPTS).iterdir() if p.name.isdecimal()]
    except OSError:
        return None
    return Attempt(run_dir / ATTEMPTS / str(max(numbers))) if numbers else None


def still_ours(attempt: Path) -> None:
    """Refuse to write for a claim that is no longer the last word.

    Raises:
        StorageError: the run directory is gone, or somebody else has taken the run over.
    """
    if not (attempt / CLAIM).exists():
        raise StorageError(
            f"{attempt.parents[1]} was deleted while the run was under way; what it held is lost. "
            "The same command begins anew."
        )
    if attempt.with_name(str(int(attempt.name) + 1)).exists():
        raise StorageError(
            f"{attempt.parents[1]} was taken over by another process, because this one was not "
            f"heard of for {STALE:.0f} seconds; that process goes on from the last checkpoint."
        )


class Claim:
    """The right to train a run and to write into its directory, from ``take`` to ``release``.

    Its ``directory``, ``attempts/<number>``, is renamed into place with the claim in it, which a
    file system lets only one process do. It ends with ``end.json``, or with its process: on the
    same machine the system frees the lock of a dead one; on another, the heartbeat has not moved
    for :data:`STALE` seconds.
    """

    def __init__(self, directory: Path, lock: int) -> None:
        self.directory = directory
        self._lock = lock
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")
        self._thread.start()

    @classmethod
    def take(cls, run_dir: Path) -> "Claim":
        """Claim the run.

        Raises:
            TakenError: a living process holds it.
            OSError: the directory cannot be written.
        """
        (run_dir / ATTEMPTS).mkdir(parents=True, exist_ok=True)
        while True:
            latest = latest_attempt(run_dir)
            if latest is not None and latest.alive() and latest.owner is not None:
                raise TakenError(latest.owner)
            number = latest.number + 1 if latest else 1
            pending = Path(tempfile.mkdtemp(prefix=PENDING, dir=run_dir / ATTEMPTS))
            pending.chmod(DIRECTORY_MODE)
            write_json(pending / CLAIM, asdict(Owner.here()))
            (pending / HEARTBEAT).touch()
            lock = os.open(pending / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            with contextlib.suppress(OSError):  # a file system without locks: heartbeats have to do
                fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                # Never empty, so it cannot replace a folder that is there.
                return cls(pending.rename(run_dir / ATTEMPTS / str(number)), lock)
            except OSError:
                os.close(lock)
                shutil.rmtree(pending, ignore_errors=True)
                if latest_attempt(run_dir) == latest:
                    raise  # nobody was faster: it cannot be written

    def require(self) -> None:
        """See :func:`still_ours`."""
        still_ours(self.directory)

    def release(self, **end: Any) -> None:
        """Give the run back, with what is to be remembered of this attempt."""
        self._over.set()
        self._thread.join()
        # Where it cannot be written, whoever looks will find that this process is gone.
        with contextlib.suppress(OSError, StorageError):
            still_ours(self.directory)
            write_json(self.directory / END, end)
        os.close(self._lock)

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(self.directory / HEARTBEAT)


def _locked(path: Path) -> bool | None:
    """Whether a process of this machine holds the lock of a claim; None: locks do not work here."""
    try:
        with path.open("rb") as file:
            # Shared: two who look at once do not take each other for the owner.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _now(directory: Path) -> float:
    """The time by the file system's own clock; it need not be this machine's."""
    try:
        with tempfile.NamedTemporaryFile(dir=directory.parent, prefix=PENDING) as file:
            return Path(file.name).stat().st_mtime
    except OSError:
        return time.time()  # read-only: the best there is


def rank() -> int:
    """Rank of this process; 0 where there is only one."""
    return next((int(os.environ[name]) for name in RANKS if name in os.environ), 0)


def announce_claim(attempt: Path) -> None:
    """Tell the processes that this one is going to start."""
    os.environ[INHERITED] = str(attempt.resolve())


def wait_for_claim(run_dir: Path) -> Path | None:
    """The attempt that rank 0 has begun; None when it does not train this run."""
    if INHERITED in os.environ:
        return Path(os.environ[INHERITED])
    here = Owner.here()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        attempt = latest_attempt(run_dir)
        owner = attempt.owner if attempt else None
        ours = owner and (owner.job, owner.restarts) == (here.job, here.restarts)
        if attempt and ours and attempt.alive():
            return attempt.directory
        time.sleep(0.2)
    return None


def end_with_parent() -> None:
    """End this process when the one that started it is gone: it would wait for it for ever."""
    if INHERITED not in os.environ:
        return  # a scheduler has started it, and will end it
    parent = os.getppid()

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="parent").start()
