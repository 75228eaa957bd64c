"""The demonstration: where its parts meet."""

import socket
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from access.ids import DoorId
from gardien.demo import site
from gardien.demo.cast import Player, cast
from gardien.demo.director import Director, names_of, office_hours
from gardien.demo.narrator import Narrator
from gardien.demo.processes import Processes
from gardien.demo.site import SITE, Login
from gardien.demo.story import FABLAB, MAIN, ZONE, day
from gardien.opening import open_installation
from runtime.clock import DemoClock
from server.installation import Installation

_LOOPBACK: Final = "127.0.0.1"
_DOORS: Final = (MAIN, FABLAB)
_PROBE_S: Final = 1.0
_ROLES: Final = {
    "staff": ("accueil", "staff"),
    "guardian": ("gardien", "guardian"),
    "member": ("membre", "member"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the demonstration is to be played.

    Attributes:
        data: the folder of its installation.
        days: how many days to play.
        must_exit: whether to leave after the last of them.
        port: of the dashboard; the next free one is taken if it is in use.
        language: `fr` or `en`.
        broker: which program runs the broker, see `runtime.broker`.
    """

    data: Path
    days: int = 1
    must_exit: bool = False
    port: int = 8080
    language: str = "fr"
    broker: str = "auto"


def run(options: Options, stop: threading.Event, console: Console) -> None:
    """Make the site, start its programs, play, and leave nothing behind; blocks.

    Raises:
        NotADemoError: the folder holds something else.
        ProcessError: a program did not start, or stopped by itself.
    """
    on = site.first_day(datetime.now(ZONE).date())
    players = cast()
    with console.status(_of(options, "Je prépare le lieu…", "Preparing the place…")) as status:
        port = _free_port(options.port)
        plan = site.plan_of(
            options.data,
            language=options.language,
            mqtt_port=_free_port(0),
            listen=f"{_LOOPBACK}:{port}",
            broker=options.broker,
        )
        folder = site.make(options.data, plan, on)
        logins = site.people(folder, players, on)
        logs = folder.path / "logs"
        logs.mkdir()
        with (
            Processes(data=folder.path, logs=logs, stop=stop) as processes,
            open_installation(folder.path) as installation,
        ):
            status.update(_of(options, "Je démarre les portes…", "Starting the doors…"))
            _start(processes, installation, port)
            status.stop()
            if stop.is_set():
                return
            console.print(_where_to_look(options, port, logins))
            show = _Show(
                options=options,
                installation=installation,
                processes=processes,
                players=players,
                console=console,
                stop=stop,
            )
            show.play(on)


def _start(processes: Processes, installation: Installation, port: int) -> None:
    processes.start("broker", "broker")
    # The slowest to start, and the one that needs no broker.
    processes.start("dashboard", "dashboard")
    processes.wait_until(lambda: _accepts(installation.settings.mqtt.port), "the broker")
    processes.start("server", "server")
    for door in _DOORS:
        file = installation.folder.path / "doors" / door / "door.toml"
        processes.start(f"door-{door}", "door", "--config", str(file))
    processes.wait_until(lambda: _all_online(installation), "a door")
    processes.wait_until(lambda: _answers(port), "the dashboard")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Show:
    """The play, once everything runs."""

    options: Options
    installation: Installation
    processes: Processes
    players: tuple[Player, ...]
    console: Console
    stop: threading.Event

    def play(self, on: date) -> None:
        """Play the days from `on`, and go on after them if nobody asked to leave."""
        narrator = Narrator(
            console=self.console,
            database=self.installation.database,
            names=names_of(self.players),
            language=self.options.language,
            since=datetime.combine(on, site.STARTS, tzinfo=ZONE),
        )
        silent = threading.Event()
        telling = threading.Thread(target=narrator.run, args=(silent,), name="narrator")
        telling.start()
        try:
            with DemoClock(self.installation.folder.path / site.CLOCK_FILE) as clock:
                self._play(clock, on)
        finally:
            silent.set()
            telling.join()
            narrator.catch_up()

    def _play(self, clock: DemoClock, on: date) -> None:
        director = Director(
            clock=clock,
            gatehouse=self.installation.gatehouse,
            sockets={d: self.installation.folder.path / "doors" / d / "sim.sock" for d in _DOORS},
            stop=self.stop,
        )
        for _ in range(self.options.days):
            self.console.rule(f"{on:%d/%m/%Y}")
            director.play(day(self.players, on))
            self.processes.check()
            on = site.next_day(on)
        if not self.options.must_exit:
            self.console.rule(
                _of(
                    self.options,
                    "La vie continue, Ctrl-C arrête tout",
                    "Life goes on, Ctrl-C ends it",
                )
            )
            self._go_on(director, clock, on)

    def _go_on(self, director: Director, clock: DemoClock, on: date) -> None:
        while not self.stop.is_set():
            start, end = office_hours(datetime.combine(on, site.STARTS, tzinfo=ZONE))
            clock.leap_to(start)
            director.go_on(self.players, end)
            on = site.next_day(on)


def _where_to_look(options: Options, port: int, logins: list[Login]) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_row(_of(options, "le tableau", "the board"), f"http://{_LOOPBACK}:{port}/")
    table.add_row(
        _of(options, "l'écran du hall", "the hall's screen"), f"http://{_LOOPBACK}:{port}/kiosk"
    )
    for login in logins:
        table.add_row(
            _of(options, *_ROLES[login.role]), f"{login.email}  {login.password}", login.name
        )
    table.add_row(
        _of(options, "badger soi-même", "badge in yourself"),
        f"gardien --data {options.data} tap --door main --badge 04A1B2C3D4E580",
    )
    return Panel(table, title="gardien", border_style="cyan", expand=False)


def _all_online(installation: Installation) -> bool:
    doors = installation.gatehouse.look(SITE).doors
    return all(DoorId(door) in doors and doors[door].is_online for door in _DOORS)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((_LOOPBACK, port), _PROBE_S).close()
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{_LOOPBACK}:{port}/healthz", timeout=_PROBE_S):
            return True
    except (OSError, urllib.error.URLError):
        return False


def _free_port(wanted: int) -> int:
    """Give the port if it is free, else the next free one; any free one for 0."""
    for port in range(wanted, wanted + 100):
        try:
            with socket.create_server((_LOOPBACK, port)) as probe:
                return int(probe.getsockname()[1])
        except OSError:
            continue
    return _free_port(0)


def _of(options: Options, french: str, english: str) -> str:
    return english if options.language == "en" else french
