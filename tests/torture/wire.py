"""A wire between two network namespaces of our own: unplugged, lossy or narrow as we like.

Broker and server listen on 127.0.0.1 only. So the door's namespace sends what goes to the broker's
port there over the wire, and the server's hands it to its own loopback: one TCP connection from the
door to the broker, over a real interface. The machine's own interfaces are not touched.
"""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_END: Final = "wire"
"""What each end of the wire is called in its namespace."""

_NEAR, _FAR = "10.9.0.1", "10.9.0.2"
_TABLE_OF_SERVER: Final = """
table ip gardien {{
  chain arriving {{
    type nat hook prerouting priority -100
    iifname "{end}" tcp dport {port} dnat to 127.0.0.1:{port}
  }}
}}
"""
_TABLE_OF_DOOR: Final = """
table ip gardien {{
  chain sent {{
    type nat hook output priority -100
    ip daddr 127.0.0.1 tcp dport {port} dnat to {near}:{port}
  }}
  chain leaving {{
    type nat hook postrouting priority 100
    oifname "{end}" masquerade
  }}
}}
"""
_LOSS: Final = """
table inet loss {{
  chain lost {{
    type filter hook input priority 0
    iifname "{end}" numgen random mod 100 < {percent} counter drop
  }}
}}
"""


def no_wire() -> str:
    """Say why there can't be a wire here, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    packages = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables"}
    for program, package in packages.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (apt install {package})"
    try:
        with wire(9):
            return ""
    except subprocess.CalledProcessError as error:
        return f"the kernel gives no wire: {error.cmd[0]}: {error.stderr.strip()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """The wire, and the namespaces at its ends.

    Attributes:
        server: the namespace of broker and server.
        door: the namespace of the door.
    """

    server: str
    door: str

    def unplug(self) -> None:
        """Take the door's end down."""
        _run("ip", "-n", self.door, "link", "set", _END, "down")

    def plug_in(self) -> None:
        """Put the door's end up."""
        _run("ip", "-n", self.door, "link", "set", _END, "up")

    def lose(self, percent: int) -> None:
        """Lose so many of a hundred packets, whatever they are, in each direction."""
        for space in (self.server, self.door):
            _nft(space, _LOSS.format(end=_END, percent=percent))

    @property
    def lost(self) -> int:
        """How many packets it has lost since `lose`, in both directions."""
        told = "".join(
            _run(*within(space), "nft", "list", "table", "inet", "loss")
            for space in (self.server, self.door)
        )
        return sum(map(int, re.findall(r"counter packets (\d+)", told)))

    def narrow(self, kbit_s: int) -> None:
        """Let no more than so many kilobits a second through, in each direction."""
        for space in (self.server, self.door):
            rule = f"rate {kbit_s}kbit burst 4kb latency 400ms".split()
            _run("tc", "-n", space, "qdisc", "add", "dev", _END, "root", "tbf", *rule)

    def mend(self) -> None:
        """Make the wire as it was at first."""
        for space in (self.server, self.door):
            with contextlib.suppress(subprocess.CalledProcessError):
                _nft(space, "delete table inet loss")
            with contextlib.suppress(subprocess.CalledProcessError):
                _run("tc", "-n", space, "qdisc", "del", "dev", _END, "root")
        self.plug_in()


@contextlib.contextmanager
def wire(port: int) -> Iterator[Wire]:
    """Make a wire for the length of the block.

    Args:
        port: of the loopback, on which the broker listens at the server's end.

    Raises:
        subprocess.CalledProcessError: the kernel or a program does not go along.
    """
    made = Wire(server=f"gt{os.getpid()}s", door=f"gt{os.getpid()}d")
    with contextlib.ExitStack() as stack:
        for space in (made.server, made.door):
            _run("ip", "netns", "add", space)
            stack.callback(_run, "ip", "netns", "delete", space)
        _run("ip", "-n", made.server, "link", "add", "name", _END, "type", "veth",
             "peer", "name", _END, "netns", made.door)  # fmt: skip
        for space, address in ((made.server, _NEAR), (made.door, _FAR)):
            _run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", _END)
            for end in ("lo", _END):
                _run("ip", "-n", space, "link", "set", end, "up")
            routed = f"net.ipv4.conf.{_END}.route_localnet=1"
            _run("ip", "netns", "exec", space, "sysctl", "-qw", routed)
        _nft(made.server, _TABLE_OF_SERVER.format(end=_END, port=port))
        _nft(made.door, _TABLE_OF_DOOR.format(end=_END, port=port, near=_NEAR))
        yield made


def within(space: str) -> list[str]:
    """Give the command that runs a program in a namespace."""
    return ["ip", "netns", "exec", space]


def listens(space: str, port: int) -> bool:
    """Whether something listens on a port in a namespace."""
    command = [*within(space), "ss", "-Hltn", f"sport = :{port}"]
    return bool(subprocess.run(command, check=True, capture_output=True).stdout)


def _nft(space: str, rules: str) -> None:
    command = [*within(space), "nft", "-f", "-"]
    subprocess.run(command, input=rules, check=True, capture_output=True, text=True)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
