"""Node-RED and FabOMatic, where `scripts/peers` has put them, run as they ship."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tests.bench.broker_parts import PATIENCE_S
from tests.torture.place import free_port

_HERE: Final = Path(__file__).parent
_PEERS: Final = _HERE.parents[1] / "tests" / "out" / "peers"
_RED: Final = _PEERS / "node-red" / "node_modules" / "node-red" / "red.js"
_FAB: Final = _PEERS / "fabomatic" / "bin" / "python"
_NODE: Final = shutil.which("node")
_TOML: Final = """
[database]
url = "sqlite:///{folder}/database.sqldb"
name = "fablab"
[MQTT]
broker = "127.0.0.1"
port = {port}
client_id = "backend-3"
topic = "machine"
reply_subtopic = "/reply"
stats_topic = "stats"
user = ""
[web]
secret_key = "bench"
default_admin_email = "admin@example.org"
base_url = "127.0.0.1"
"""


def are_here() -> bool:
    """Whether both can be run."""
    return _NODE is not None and _RED.exists() and _FAB.exists()


def node_version() -> dict[str, str]:
    """Give the version of Node, for the machine's description."""
    if _NODE is None:
        return {}
    told = subprocess.run([_NODE, "--version"], capture_output=True, text=True, check=False)
    return {"node": told.stdout.strip().removeprefix("v")}


@contextmanager
def node_red(port: int, data: Path, *, is_prompt: bool) -> Iterator[int]:
    """Run Node-RED with our flow; with TCP_NODELAY if `is_prompt`. Gives its pid."""
    flow = _HERE / "peer_node_red"
    shutil.copy(flow / "flows.json", data / "flows.json")
    preload = ["--require", str(flow / "no-delay.js")] if is_prompt else []
    words = [str(_NODE), *preload, str(_RED), "--userDir", str(data)]
    env = {"PEER_MQTT_PORT": str(port), "PEER_UI_PORT": str(free_port())}
    with _running([*words, "--settings", str(flow / "settings.js")], env, data, "Connected") as pid:
        yield pid


@contextmanager
def fabomatic(port: int, home: Path, *, is_prompt: bool) -> Iterator[int]:
    """Run FabOMatic with 148 members; with TCP_NODELAY if `is_prompt`. Gives its pid."""
    settings = home / ".config" / "FabOMatic" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(_TOML.format(folder=home, port=port))
    words = [str(_FAB), str(_HERE / "peer_fabomatic.py")]
    if is_prompt:
        words.append("--no-delay")
    with _running(words, {"HOME": str(home)}, home, "ready") as pid:
        yield pid


@contextmanager
def _running(command: list[str], env: dict[str, str], folder: Path, ready: str) -> Iterator[int]:
    """Run a program of others until it has said that it is ready; gives its pid."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as program:
        assert program.stdout is not None
        said = threading.Event()
        reading = threading.Thread(target=_read_on, args=(program.stdout, ready, said))
        reading.start()
        try:
            if not said.wait(PATIENCE_S):
                raise TimeoutError(f"{command[0]} did not say {ready!r}")
            yield program.pid
        finally:
            program.terminate()
            program.wait()
            reading.join()


def _read_on(output: IO[str], ready: str, said: threading.Event) -> None:
    """Read all that a program says, so that it never waits for a reader."""
    for line in output:
        if ready in line:
            said.set()
