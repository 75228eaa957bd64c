"""One real `gardien door` process after another at a door, and the pin that outlives them."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.settings import DoorUnitSettings, load_door_settings
from tests.torture.place import ROOT, NotSoError, environment, wait_for

PROGRAM: Final = "tests.torture.traced_door"
UNLOCKED: Final = 1
_NOWHERE: Final = Path("/dev/null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the lock's pin: to which level, and what was recorded by then."""

    mono: float
    level: int
    last_unlocked: int


@dataclass(slots=True)
class DoorProcess:
    """Starts, kills and makes safe the unit of one door.

    Attributes:
        config: its `door.toml`.
        process: the one that runs now.
        program: the module that is it.
        safe_failures: what `--make-safe` said when it failed.
    """

    config: Path
    settings: DoorUnitSettings = field(init=False)
    process: subprocess.Popen[bytes] | None = None
    program: str = PROGRAM

    def __post_init__(self) -> None:
        self.settings = load_door_settings(self.config)

    @property
    def socket(self) -> Path:
        """Where the people at the door are played."""
        assert self.settings.hardware.simulated is not None
        return self.settings.hardware.simulated.socket

    @property
    def log(self) -> Path:
        """What all its processes have printed."""
        return self.config.with_name("door-torture.log")

    @property
    def _trace(self) -> Path:
        return self.config.with_name("pin.trace")

    def changes(self) -> list[Change]:
        """Give every change of the lock's pin since the beginning."""
        if not self._trace.exists():
            return []
        return [
            Change(mono=float(mono), level=int(level), last_unlocked=int(seq))
            for mono, level, seq in map(str.split, self._trace.read_text().splitlines())
        ]

    @property
    def level(self) -> int:
        """The level at which the kernel keeps the lock's pin; 1 releases."""
        return changes[-1].level if (changes := self.changes()) else 0

    def start(
        self,
        *,
        before: Sequence[str] = (),
        kill: str = "never:0",
        more: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a unit; does not wait.

        Args:
            before: a program that runs it, as strace with its options.
            kill: `before:3` has it die right before the third change of the pin, or `after:3`.
            more: of the environment.
        """
        assert self.process is None
        self.socket.unlink(missing_ok=True)
        self.process = self._run(*before, sys.executable, kill=kill, more=more)
        return self.process

    def wait_until_there(self, within_s: float = 20) -> bool:
        """Wait until people can come to the door; says whether it lives."""
        wait_for(lambda: self._is_open() or not self.is_alive, "the door starts", within_s)
        return self.is_alive

    def _is_open(self) -> bool:
        """Whether somebody can come: the socket is there a moment before it is listened at."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.socket))
            return True
        return False

    @property
    def is_alive(self) -> bool:
        """Whether the unit runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process that runs."""
        assert self.process is not None
        return self.process.pid

    def has_ended(self, within_s: float) -> bool:
        """Say whether the unit ends within so many seconds, by itself; blocks until it has."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(within_s)
        return not self.is_alive

    def kill(self) -> int:
        """Kill it with -9, unless it has died; gives its exit status."""
        process, self.process = self.process, None
        assert process is not None
        tracer = _tracer_of(process.pid)
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(0.5)
        # A tracer that delays a call keeps the dead from its parent until the delay is over.
        if tracer is not None:
            os.kill(tracer, signal.SIGKILL)
        return process.wait()

    def stop(self) -> int:
        """Stop it kindly; gives its exit status."""
        process, self.process = self.process, None
        assert process is not None
        process.terminate()
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise NotSoError("the door did not end within 20 s of SIGTERM") from None

    def make_safe(self) -> bool:
        """Do what systemd does after any end (`ExecStopPost`); says whether it went well."""
        return self._run(sys.executable, words=("--make-safe",)).wait(30) == 0

    def _run(
        self,
        *command: str,
        words: Sequence[str] = (),
        kill: str = "never:0",
        more: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        env = environment() | {
            "GARDIEN_TORTURE_TRACE": str(self._trace),
            "GARDIEN_TORTURE_PIN": str(self.settings.hardware.lock.pin),
            "GARDIEN_TORTURE_OUTBOX": str(self.settings.outbox),
            "GARDIEN_TORTURE_KILL": kill,
            **(more or {}),
        }
        arguments = ["-m", self.program, "door", "--config", str(self.config), *words]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*command, *arguments],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


def _tracer_of(pid: int) -> int | None:
    """Give the number of the process that traces another one, if any does."""
    with contextlib.suppress(OSError):
        found = re.search(
            r"^TracerPid:\t(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
        )
        return int(found[1]) or None if found is not None else None
    return None


def strace(*inject: str, trace: str, log: Path = _NOWHERE) -> list[str]:
    """Give the command that runs a program with faults in its system calls.

    The program is our own child: the tracer stands beside it (-D).

    Args:
        inject: as for `-e inject=`.
        trace: as for `-e trace=`.
        log: gets a line for each call.
    """
    options = [f"--inject={one}" for one in inject]
    return ["strace", "-D", "-f", "-qqq", f"-o{log}", f"-etrace={trace}", *options]


def no_strace() -> str:
    """Say why there is no strace here, or nothing."""
    if shutil.which("strace") is None:
        return "strace is not installed (apt install strace)"
    done = subprocess.run(
        ["strace", "-D", "-f", "-o/dev/null", "true"], capture_output=True, check=False
    )
    return "" if done.returncode == 0 else "strace may not trace here (ptrace is forbidden)"


@contextlib.contextmanager
def ended_afterwards(door: DoorProcess) -> Iterator[DoorProcess]:
    """Kill what still runs at the end of the block."""
    try:
        yield door
    finally:
        if door.process is not None:
            door.kill()


def pause(seconds: float) -> None:
    """Let a chosen time pass: the moment of a kill is not waited for, it is chosen."""
    time.sleep(seconds)
