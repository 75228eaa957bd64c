"""Who answers badges: a bare echo, an echo that commits one row first, and the whole server.

Each is the main function of a process of its own, and ends with SIGTERM.
"""

import json
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import paho.mqtt.client as paho
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from access import topics
from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span, to_rfc3339
from access.model import Badge, Door, Member, Plan, Policy
from runtime.broker import LOOPBACK
from runtime.clock import SystemClock
from runtime.link_paho import Login
from runtime.link_paho_driven import DrivenPahoLink
from server import schema
from server.database import open_database
from server.desk import OPERATOR
from server.events import Recounted
from server.follower import HistoryFollower
from server.gatehouse import Gatehouse
from server.history_embedded import EmbeddedHistory
from server.service import Inbox, Service, last_will, wishes
from server.upgrade import upgrade
from tests.bench.asker import Way
from tests.bench.broker_parts import bare_client, connect
from tests.bench.ledger_filling import badge_of, member_of

SITE: Final = SiteId("malakoff")
DOOR: Final = DoorId("main")
MEMBERS: Final = 148
INSIDE: Final = 60
_ROW_BYTES: Final = 600
"""About what one decision adds to the ledger."""


def request_body(request: str, number: int) -> bytes:
    """Write what a door asks when a member's badge is read."""
    body = {
        "id": request,
        "at": to_rfc3339(datetime.now(UTC)),
        "reader": "in",
        "badge": badge_of(number % MEMBERS),
        "token": None,
    }
    return json.dumps(body).encode()


def correlation_of(message: paho.MQTTMessage) -> str:
    """Give the id of the request that an answer is for, by MQTT's own property."""
    found: bytes = getattr(message.properties, "CorrelationData", b"")
    return found.decode()


def way(request: str, answer: str) -> Way:
    """Give a way on which badges are asked about."""
    return Way(request=request, answer=answer, body=request_body, id_of=correlation_of)


ECHO: Final = way("bench/echo/request", "bench/echo/decision")
COMMIT: Final = way("bench/commit/request", "bench/commit/decision")
BADGE: Final = way(
    topics.of_door(SITE, DOOR, topics.REQUEST), topics.of_door(SITE, DOOR, topics.DECISION)
)


def echo(port: int) -> None:
    """Send back what comes."""
    _answer(port, "echo", ECHO, lambda: None)


def commit(port: int, file: Path) -> None:
    """Write one row, as durable as the ledger, for each message; send it back then."""
    # Used by the client's thread alone, once it is connected.
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as rows:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            rows.execute(f"PRAGMA {pragma}").close()
        rows.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, body TEXT)")

        def keep() -> None:
            rows.execute("BEGIN IMMEDIATE")
            rows.execute("INSERT INTO kept (body) VALUES (?)", ("x" * _ROW_BYTES,))
            rows.execute("COMMIT")

        _answer(port, "commit", COMMIT, keep)


def serve(port: int, folder: Path) -> None:
    """Be the server, put together as `server.program` does."""
    stop = _told_to_stop()
    rules = policy()
    inbox = Inbox()
    with (
        open_database(f"sqlite:///{folder / 'gardien.db'}") as database,
        open_database(f"sqlite:///{folder / 'history.db'}") as cursors,
    ):
        upgrade(database)
        schema.follower.create(cursors.engine, checkfirst=True)
        gatehouse = Gatehouse(database=database, policy_of=lambda _: rules)
        inside = tuple(list(rules.members)[:INSIDE])
        gatehouse.handle(
            SITE, [Recounted(by=OPERATOR, members=inside, guests=0)], datetime.now(UTC)
        )
        follower = HistoryFollower(
            source=database, cursors=cursors, history=EmbeddedHistory(cursors.engine)
        )
        following = threading.Thread(target=follower.run, args=(stop,))
        following.start()
        with DrivenPahoLink(
            host=LOOPBACK,
            port=port,
            client_id="server",
            login=Login(),
            wishes=wishes(),
            will=last_will(SITE),
            on_event=inbox.put,
        ) as link:
            inbox.fill_by(link.wait)
            Service(
                doors={SITE: frozenset({DOOR})},
                gatehouse=gatehouse,
                policy_of=lambda _: rules,
                sign=Ed25519PrivateKey.generate().sign,
                link=link,
                inbox=inbox,
                clock=SystemClock(),
                on_commit=follower.wake,
            ).run(stop)
        follower.wake()
        following.join()


def policy() -> Policy:
    """Give rules under which every member is admitted, as in the morning rush."""
    now = datetime.now(UTC)
    members: list[MemberId] = [member_of(number) for number in range(MEMBERS)]
    badges: list[BadgeDigest] = [badge_of(number) for number in range(MEMBERS)]
    return Policy(
        version=1,
        site=SITE,
        issued=now,
        relies_until=now + timedelta(hours=72),
        capacity=MEMBERS,
        doors={DOOR: Door(id=DOOR, name="Main", plans=frozenset(Plan))},
        members={member: Member(id=member, plan=Plan.NOMAD) for member in members},
        badges={
            badge: Badge(digest=badge, member=member)
            for badge, member in zip(badges, members, strict=True)
        },
        opening=(Span(start=now - timedelta(days=1), end=now + timedelta(days=1)),),
    )


def _answer(port: int, name: str, way: Way, before: Callable[[], None]) -> None:
    stop = _told_to_stop()
    client = bare_client(name)

    def send_back(sender: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        before()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = correlation_of(message).encode()
        sender.publish(way.answer, message.payload, qos=1, properties=properties)

    client.on_message = send_back
    connect(client, port, way.request)
    stop.wait()
    client.disconnect()
    client.loop_stop()


def _told_to_stop() -> threading.Event:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop
