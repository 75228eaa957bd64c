"""Home Assistant: what it is told over a real broker, and what is taken back."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, select

from runtime.broker import Broker, BrokerClient, embedded_broker, find_mosquitto
from runtime.link import Incoming, LinkEvent, LinkUp, Outgoing, Wish
from runtime.link_paho import Login, PahoLink
from server import notifier_queue, schema
from server.database import Database, open_database
from server.home_assistant import Announcer, announcements
from server.settings import HomeAssistantSettings, ServerSettings, load_server_settings

SETTINGS = """
database = "sqlite:///gardien.db"
[mqtt]
host = "127.0.0.1"
port = 1883
username = "server"
password_file = "keys/mqtt.password"
[[site]]
id = "malakoff"
name = "Malakoff"
zone = "Europe/Paris"
capacity = 60
[[site.door]]
id = "main"
name = "Entrée"
contact = true
[[site.door]]
id = "lab"
name = "Atelier"
contact = false
"""
STATE = "gardien/1/malakoff/main/state"
WAIT_S = 10.0

needs_mosquitto = pytest.mark.skipif(
    find_mosquitto() is None, reason="mosquitto is not installed (apt install mosquitto)"
)


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    path = tmp_path / "gardien.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    return load_server_settings(path)


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path / 'history.db'}") as database:
        notifier_queue.prepare(database)
        yield database


@pytest.fixture(
    params=[
        pytest.param("mosquitto", marks=[pytest.mark.mosquitto, needs_mosquitto]),
        "amqtt",
    ]
)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    clients = [
        BrokerClient(name="server", password="s", role="server", discovery_prefix="homeassistant"),  # noqa: S106
        BrokerClient(name="home", password="h", role="home", discovery_prefix="homeassistant"),  # noqa: S106
        BrokerClient(name="malakoff.main", password="m", role="door", site="malakoff", door="main"),  # noqa: S106
    ]
    with embedded_broker(
        clients=clients, folder=tmp_path / "broker", program=request.param
    ) as running:
        yield running


@contextmanager
def linked(
    broker: Broker, name: str, on_event: Callable[[LinkEvent], None], *topics: str
) -> Iterator[PahoLink]:
    link = PahoLink(
        host="127.0.0.1",
        port=broker.port,
        client_id=name,
        login=Login(username=name, password=name.rpartition(".")[2][0]),
        wishes=[Wish(topic=topic) for topic in topics],
        will=None,
        on_event=on_event,
    )
    try:
        assert wait_for(lambda: link.is_up)
        yield link
    finally:
        link.close()


def wait_for(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Home:
    """What Home Assistant has heard: the last payload on each topic."""

    def __init__(self) -> None:
        self.heard: dict[str, bytes] = {}

    def put(self, event: LinkEvent) -> None:
        if isinstance(event, Incoming):
            self.heard[event.topic] = event.payload

    def configs(self) -> dict[str, Any]:
        return {
            topic: json.loads(payload)
            for topic, payload in self.heard.items()
            if topic.startswith("homeassistant/") and payload
        }


def announcer(settings: ServerSettings, notes: Database, **changes: Any) -> Announcer:
    chosen = msgspec.structs.replace(HomeAssistantSettings(enabled=True), **changes)
    return Announcer(
        settings=chosen, sites=settings.sites, language="fr", version="1.0", notes=notes
    )


@contextmanager
def announcing(broker: Broker, told: Announcer) -> Iterator[PahoLink]:
    stop = threading.Event()
    with linked(broker, "server", told.beside(lambda _: None), "gardien/1/+/+/state") as link:
        thread = threading.Thread(target=told.run, args=(stop, link))
        thread.start()
        try:
            yield link
        finally:
            stop.set()
            told.wake()
            thread.join(WAIT_S)
            assert not thread.is_alive()


def known(notes: Database) -> set[str]:
    with notes.reading() as connection:
        return set(connection.scalars(select(schema.announced.c.topic)))


def test_it_is_told_of_the_site_and_its_doors(
    settings: ServerSettings, notes: Database, broker: Broker
) -> None:
    home = Home()
    with (
        linked(broker, "home", home.put, "homeassistant/+/+/+/config"),
        announcing(broker, announcer(settings, notes)),
    ):
        assert wait_for(lambda: len(home.configs()) == 7)
    stem = "homeassistant/binary_sensor/gardien/malakoff"
    assert set(home.configs()) == {
        "homeassistant/sensor/gardien/malakoff_present/config",
        "homeassistant/sensor/gardien/malakoff_margin/config",
        "homeassistant/sensor/gardien/malakoff_open/config",
        f"{stem}_watch/config",
        f"{stem}_main_online/config",
        f"{stem}_main_contact/config",
        f"{stem}_lab_online/config",
    }
    assert known(notes) == set(home.configs())


def test_what_it_was_told_stays_for_who_comes_later(
    settings: ServerSettings, notes: Database, broker: Broker
) -> None:
    first, later = Home(), Home()
    with (
        linked(broker, "home", first.put, "homeassistant/#"),
        announcing(broker, announcer(settings, notes)),
    ):
        assert wait_for(lambda: len(first.configs()) == 7)
    with linked(broker, "home", later.put, "homeassistant/#"):
        assert wait_for(lambda: later.configs() == first.configs())


def test_a_door_that_goes_and_discovery_that_is_switched_off_are_taken_back(
    settings: ServerSettings, notes: Database, broker: Broker
) -> None:
    home = Home()
    fewer = msgspec.structs.replace(settings.sites[0], doors=settings.sites[0].doors[:1])
    with linked(broker, "home", home.put, "homeassistant/#"):
        with announcing(broker, announcer(settings, notes)):
            assert wait_for(lambda: len(home.configs()) == 7)
        smaller = msgspec.structs.replace(settings, sites=(fewer,))
        with announcing(broker, announcer(smaller, notes)):
            assert wait_for(lambda: len(home.configs()) == 6)
        with announcing(broker, announcer(settings, notes, enabled=False)):
            assert wait_for(lambda: home.configs() == {})
            assert wait_for(lambda: known(notes) == set())


def test_told_anew_after_its_notes_are_lost_it_is_the_same(
    settings: ServerSettings, notes: Database, broker: Broker
) -> None:
    home = Home()
    with linked(broker, "home", home.put, "homeassistant/#"):
        with announcing(broker, announcer(settings, notes)):
            assert wait_for(lambda: len(home.configs()) == 7)
        before, noted = home.configs(), known(notes)
        with notes.writing() as connection:
            connection.execute(delete(schema.announced))
        with announcing(broker, announcer(settings, notes)):
            assert wait_for(lambda: known(notes) == noted)
        assert home.configs() == before


def test_it_reads_states_and_can_say_nothing_but_that_it_is_there(
    settings: ServerSettings, notes: Database, broker: Broker
) -> None:
    home, door = Home(), Home()
    topics = ("gardien/1/+/occupancy", "gardien/1/+/server", "gardien/1/+/+/state")
    command = "gardien/1/malakoff/main/command"
    with (
        linked(broker, "home", home.put, *topics) as mine,
        linked(broker, "malakoff.main", door.put, command) as unit,
        announcing(broker, announcer(settings, notes)) as server,
    ):
        mine.send(Outgoing(topic=command, payload=b"open"))
        mine.send(Outgoing(topic=STATE, payload=b"forged", retain=True))
        unit.send(Outgoing(topic=STATE, payload=b'{"online": true}', retain=True))
        server.send(Outgoing(topic=command, payload=b"real"))
        assert wait_for(lambda: STATE in home.heard and command in door.heard)
    assert home.heard[STATE] == b'{"online": true}'
    assert door.heard[command] == b"real"


def test_entities_read_only_topics_without_names(settings: ServerSettings) -> None:
    found = [
        json.loads(payload)
        for payload in announcements(settings.sites, "homeassistant", "en", "1.0").values()
    ]
    read = {one["state_topic"] for one in found}
    read |= {part["topic"] for one in found for part in one["availability"]}
    assert {topic.rpartition("/")[2] for topic in read} == {"occupancy", "server", "state"}
    assert not any("command_topic" in one for one in found)


def test_each_entity_has_an_id_a_device_and_the_servers_word_that_it_is_there(
    settings: ServerSettings,
) -> None:
    told = announcements(settings.sites, "ha", "en", "1.0")
    found = [json.loads(payload) for payload in told.values()]
    assert len({one["unique_id"] for one in found}) == len(found)
    assert all(one["availability"][0]["topic"] == "gardien/1/malakoff/server" for one in found)
    devices = {one["device"]["identifiers"][0]: one["device"] for one in found}
    assert set(devices) == {"gardien-malakoff", "gardien-malakoff_main", "gardien-malakoff_lab"}
    assert devices["gardien-malakoff_main"]["via_device"] == "gardien-malakoff"
    assert all(topic.startswith("ha/") for topic in told)


def test_a_link_that_is_down_is_told_when_it_is_up(
    settings: ServerSettings, notes: Database
) -> None:
    class Down:
        is_up = False

        def send(self, message: Outgoing) -> bool:  # noqa: ARG002 (as the port has it)
            return False

        def close(self) -> None:
            """Nothing to close."""

    told = announcer(settings, notes)
    heard: list[LinkEvent] = []
    told.beside(heard.append)(LinkUp())
    assert heard == [LinkUp()]
    assert not told.announce(Down())
    assert len(known(notes)) == 7
