"""The program: it serves what it should, and leaves nothing behind when it is told to stop."""

import http.client
import socket
import threading
from typing import Any

from msgspec.structs import replace

from dashboards.program import run
from runtime.written import Address


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_the_program_serves_pages_and_ends_with_streams_open(place: Any) -> None:
    installation = place.installation
    port, stop, ready = free_port(), threading.Event(), threading.Event()
    dashboard = replace(installation.settings.dashboard, listen=Address(("127.0.0.1", port)))
    here = type(installation)(
        folder=installation.folder,
        settings=replace(installation.settings, dashboard=dashboard),
        clock=installation.clock,
        database=installation.database,
        policies=installation.policies,
        gatehouse=installation.gatehouse,
    )
    before = set(threading.enumerate())
    program = threading.Thread(
        target=run, args=(here, stop), kwargs={"on_ready": lambda _port: ready.set()}
    )
    program.start()
    assert ready.wait(10)
    page = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    page.request("GET", "/kiosk", headers={"Accept-Language": "fr"})
    assert "22 personnes présentes" in page.getresponse().read().decode()
    stream = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    stream.request("GET", "/live/numbers")
    answer = stream.getresponse()
    lines = iter(answer.readline, b"")
    assert any(line.startswith(b"data: ") for line in lines)
    stop.set()
    program.join(10)
    assert not program.is_alive()
    assert answer.read() == b"\n", "the stream ended, and ended whole"
    for one in (answer, page, stream):
        one.close()
    assert set(threading.enumerate()) <= before
