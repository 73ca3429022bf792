"""A SLURM of one node in a temporary folder, for as long as a ``with`` block takes.

The three daemons (munged, slurmctld, slurmd) run as whoever starts them, with a key, sockets, ports
and state of their own: neither root nor cgroups are needed, and a SLURM of the machine is not
touched. Debian and Ubuntu have the programs in the packages ``slurm-wlm`` and ``munge``.
"""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tests.cluster import processes

PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "sbatch", "srun", "scancel", "scontrol")
SYSTEM = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", "/sbin"))  # not in every user's PATH
PARTITION = "debug"
READY = 60.0  # seconds that the node may take to come up
GRACE = 10.0  # seconds that a daemon may take to end
REQUEUE = 5  # seconds that a requeued job rests (cred_expire); SLURM's own choice is 120
# SLURM asks of a GPU only that it is a device file. These every Linux has, and nobody reads them.
DEVICES = ("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire={requeue}
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait={kill_wait}
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName={partition} Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

# What `sacct -o JobID,State,NodeList --parsable2 -j JOB` answers on a cluster that keeps accounts.
SACCT = r"""#!/bin/sh
echo "JobID|State|NodeList"
while [ $# -gt 0 ]; do
    [ "$1" = -j ] && scontrol --oneliner show job "$2" 2>/dev/null
    shift
done | awk '{
    split("", field)
    for (i = 1; i <= NF; i++) {
        at = index($i, "=")
        field[substr($i, 1, at - 1)] = substr($i, at + 1)
    }
    id = field["JobId"]
    if ("ArrayJobId" in field) {
        task = field["ArrayTaskId"]
        id = field["ArrayJobId"] "_" (task ~ /^[0-9]+$/ ? task : "[" task "]")
    }
    print id "|" field["JobState"] "|" field["NodeList"]
}'
"""


class Slurm:
    """``with Slurm() as slurm: subprocess.run(["sbatch", ...], env=slurm.env)``.

    Args:
        cpus: of the node; more than the machine has are allowed.
        gpus: of the node, at most 4. They are counted and handed out (``CUDA_VISIBLE_DEVICES``)
            like real ones, and need not exist.
        memory: of the node, in MiB.
        kill_wait: seconds between SIGTERM and SIGKILL for a job that has to end.
        accounting: whether ``sacct`` knows how jobs ended, as on most clusters.

    Attributes:
        folder: everything that the daemons write; removed at the end.
        env: the environment in which SLURM's commands, and submitit, find this SLURM.
    """

    def __init__(
        self,
        cpus: int = 8,
        gpus: int = 2,
        memory: int = 1_000_000,
        kill_wait: int = 30,
        accounting: bool = True,
    ) -> None:
        self.cpus, self.gpus, self.memory = cpus, gpus, memory
        self.kill_wait, self.accounting = kill_wait, accounting
        self.folder = Path()
        self.env: dict[str, str] = {}
        self._daemons: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def missing() -> list[str]:
        """The programs that this machine lacks; empty when a SLURM can be started."""
        path = os.pathsep.join((os.environ.get("PATH", ""), SYSTEM))
        return [program for program in PROGRAMS if shutil.which(program, path=path) is None]

    def __enter__(self) -> "Slurm":
        # Not in pytest's folder, which is closed to other users: munged refuses its socket there,
        # and a socket's path may have 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        try:
            self._configure()
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop()

    def run(self, *command: str) -> str:
        """What a command of SLURM prints, e.g. ``run("squeue", "--noheader")``.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        done = subprocess.run(
            command, env=self.env, check=True, text=True, stdout=subprocess.PIPE, timeout=READY
        )
        return done.stdout.strip()

    def logs(self) -> str:
        """The last words of each daemon, for whoever has to find out why one does not work."""
        texts = [(log.name, log.read_text("utf-8")) for log in sorted(self.folder.glob("*.log"))]
        return "\n".join(f"--- {name}\n{text[-2000:]}" for name, text in texts)

    def _configure(self) -> None:
        self.folder.chmod(0o755)
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        host = socket.gethostname().partition(".")[0]
        text = CONFIG.format(
            host=host,
            ports=_free_ports(2),
            user=getpass.getuser(),
            folder=self.folder,
            requeue=REQUEUE,
            kill_wait=self.kill_wait,
            cpus=self.cpus,
            memory=self.memory,
            gpus=self.gpus,
            partition=PARTITION,
        )
        config = self.folder / "slurm.conf"
        config.write_text(text, encoding="utf-8")
        devices = ",".join(DEVICES[: self.gpus])
        gres = f"NodeName={host} Name=gpu File={devices}\n" if devices else ""
        (self.folder / "gres.conf").write_text(gres, encoding="utf-8")
        if self.accounting:
            sacct = self.folder / "bin" / "sacct"
            sacct.write_text(SACCT, encoding="utf-8")
            sacct.chmod(0o755)
        # What a job around the tests has set would be taken for a test's own.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        path = os.pathsep.join((str(self.folder / "bin"), inherited.get("PATH", ""), SYSTEM))
        self.env = {**inherited, "PATH": path, "SLURM_CONF": str(config)}

    def _start(self) -> None:
        files = {
            "socket": "munge.socket",
            "key-file": "munge.key",
            "seed-file": "munge.seed",
            "log-file": "munge.log",
            "pid-file": "munge.pid",
        }
        munge = [f"--{option}={self.folder / name}" for option, name in files.items()]
        self._daemon("munged", "--foreground", *munge)
        self._until((self.folder / "munge.socket").exists)
        self._daemon("slurmctld", "-D", "-i")
        self._daemon("slurmd", "-D")
        self._until(self._idle)

    def _daemon(self, program: str, *arguments: str) -> None:
        with (self.folder / f"{program}.log").open("wb") as log:
            daemon = subprocess.Popen(
                # Tests that are killed cannot clean up: the daemons end with them.
                ["setpriv", "--pdeathsig", "TERM", program, *arguments],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, which end the daemons in order
            )
        self._daemons.append(daemon)

    def _idle(self) -> bool:
        command = ["sinfo", "--noheader", "--format=%T"]
        state = subprocess.run(command, env=self.env, check=False, capture_output=True, text=True)
        return state.stdout.strip() == "idle"

    def _until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY
        while not ready():
            ended = any(daemon.poll() is not None for daemon in self._daemons)
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"SLURM did not start.\n{self.logs()}")
            time.sleep(0.1)

    def _stop(self) -> None:
        """The daemons first, so that no job begins or comes back; then what is left of the jobs."""
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(GRACE)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        processes.end(f"SLURM_CONF={self.folder}/slurm.conf")
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in sockets]
